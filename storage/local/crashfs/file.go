package crashfs

import (
	"bytes"
	"io"
	"io/fs"
	"syscall"

	"github.com/talos-log/talos/storage/local"
)

// file is an open file.
type file struct {
	fs       *FS
	name     string
	writable bool
	content  *content
	closed   bool // guarded by fs.mu
}

// do runs an operation on an open file.
func (f *file) do(op string, call func() error) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	err := fs.ErrClosed
	if !f.closed {
		err = call()
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: f.name, Err: err}
	}
	return nil
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.do("read", func() error {
		if b := f.content.bytes; off < int64(len(b)) {
			n = copy(p, b[off:])
		}
		return nil
	})
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	f.fs.before("write " + f.name)
	err = f.do("write", func() error {
		if !f.writable {
			return syscall.EBADF
		}
		w := write{int(off), bytes.Clone(p)}
		f.content.bytes = w.into(f.content.bytes, 0, len(p))
		f.content.writes = append(f.content.writes, w)
		n = len(p)
		return nil
	})
	return n, err
}

// Datasync implements local.File.
func (f *file) Datasync() error {
	f.fs.before("datasync " + f.name)
	return f.do("fdatasync", func() error {
		f.content.synced, f.content.writes = bytes.Clone(f.content.bytes), nil
		return nil
	})
}

// Size implements local.File.
func (f *file) Size() (size int64, err error) {
	err = f.do("stat", func() error { size = int64(len(f.content.bytes)); return nil })
	return size, err
}

// TryLock implements local.File. A lock that the file has already is replaced.
func (f *file) TryLock(exclusive bool) error {
	return f.do("flock", func() error {
		c := f.content
		others := len(c.shared)
		if c.shared[f] {
			others--
		}
		if c.exclusive != nil && c.exclusive != f || exclusive && others > 0 {
			return &local.LockedError{}
		}
		f.unlock()
		if exclusive {
			c.exclusive = f
			return nil
		}
		if c.shared == nil {
			c.shared = map[*file]bool{}
		}
		c.shared[f] = true
		return nil
	})
}

func (f *file) unlock() {
	if f.content.exclusive == f {
		f.content.exclusive = nil
	}
	delete(f.content.shared, f)
}

// Close implements local.File.
func (f *file) Close() error {
	return f.do("close", func() error {
		f.unlock()
		f.closed = true
		return nil
	})
}
