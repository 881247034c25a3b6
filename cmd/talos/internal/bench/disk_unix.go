//go:build unix && !linux

package bench

import "os"

// datasync is what the local store acknowledges after.
func datasync(file *os.File) error { return file.Sync() }
