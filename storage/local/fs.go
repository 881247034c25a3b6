package local

import (
	"fmt"
	"io"
)

// FS is what the store needs of a file system. Names are paths as the operating
// system takes them. Errors are such that errors.Is finds fs.ErrExist,
// fs.ErrNotExist and the errno behind them.
//
// Nothing is durable before it is synced: bytes and length of a file by
// Datasync, entries of a folder (made or removed) by SyncDir.
type FS interface {
	// OpenFile opens a file with one of two flags: os.O_RDONLY, or
	// os.O_RDWR|os.O_CREATE|os.O_EXCL, which makes it with mode 0600.
	OpenFile(name string, flag int) (File, error)
	// Link gives a file a second name; it fails if that exists.
	Link(name, second string) error
	// Mkdir makes one folder with mode 0700.
	Mkdir(name string) error
	// Remove removes a file's name.
	Remove(name string) error
	// ReadDir returns the files and folders in a folder, in any order.
	ReadDir(name string) ([]Entry, error)
	// SyncDir makes the entries of a folder durable.
	SyncDir(name string) error
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	// Datasync makes the file's bytes and length durable.
	Datasync() error
	// Size returns the length.
	Size() (int64, error)
	// TryLock takes the file's lock, or fails with a *LockedError if another open
	// file has it. Exclusive excludes all others, shared only exclusive ones. The
	// lock ends when the File is closed or its process dies.
	TryLock(exclusive bool) error
	// Close also drops the lock.
	Close() error
}

// Entry is one file or folder in a folder.
type Entry struct {
	Name   string
	Folder bool
	// Size is a file's length in bytes.
	Size int64
}

// LockedError says that another open file has the lock.
type LockedError struct {
	// PID is the process that has it; 0 if it can't be told.
	PID int
}

// Error names the process.
func (e *LockedError) Error() string { return "the file is locked by " + e.holder() }

func (e *LockedError) holder() string {
	if e.PID == 0 {
		return "an unknown process"
	}
	return fmt.Sprintf("process %d", e.PID)
}
