//go:build unix

package local

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

const (
	folderMode = 0o700
	fileMode   = 0o600
)

// OS is the operating system's file system.
type OS struct{}

// OpenFile implements FS; a folder is not a file.
func (OS) OpenFile(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, fileMode)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return osFile{f}, nil
}

// Link implements FS.
func (OS) Link(name, second string) error { return os.Link(name, second) }

// Mkdir implements FS.
func (OS) Mkdir(name string) error { return os.Mkdir(name, folderMode) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// ReadDir implements FS; what is neither file nor folder is left out.
func (OS) ReadDir(name string) ([]Entry, error) {
	all, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(all))
	for _, d := range all {
		switch {
		case d.IsDir():
			entries = append(entries, Entry{Name: d.Name(), Folder: true})
		case d.Type().IsRegular():
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed in between
			}
			if err != nil {
				return nil, err
			}
			entries = append(entries, Entry{Name: d.Name(), Size: info.Size()})
		}
	}
	return entries, nil
}

// SyncDir implements FS.
func (OS) SyncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) TryLock(exclusive bool) error {
	how := unix.LOCK_SH | unix.LOCK_NB
	if exclusive {
		how = unix.LOCK_EX | unix.LOCK_NB
	}
	err := f.control("flock", func(fd int) error { return unix.Flock(fd, how) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return &LockedError{PID: f.lockHolder()}
	}
	return err
}

// control runs a system call on the descriptor, again if a signal interrupts it.
func (f osFile) control(op string, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for {
			failed = call(int(fd))
			if !errors.Is(failed, unix.EINTR) {
				return
			}
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: f.Name(), Err: err}
	}
	return nil
}
