//go:build unix && !linux

package local

// Datasync implements File; Sync asks macOS for a full flush of the disk.
func (f osFile) Datasync() error { return f.Sync() }

// lockHolder returns 0: only Linux tells who has a flock.
func (f osFile) lockHolder() int { return 0 }
