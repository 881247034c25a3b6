package crashfs

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/talos-log/talos/storage/local"
)

// FS is a local.FS in memory that begins with an empty root folder. Its methods
// may be called concurrently.
type FS struct {
	before func(op string)

	mu     sync.Mutex // guards the fields below, and all inodes
	root   *inode
	inodes []*inode // in the order they were made in
}

var _ local.FS = (*FS)(nil)

// New returns an empty file system. Before is called ahead of each operation
// that changes something or makes it durable, with words like "datasync /a/b";
// it may block. It may be nil.
func New(before func(op string)) *FS {
	if before == nil {
		before = func(string) {}
	}
	f := &FS{before: before}
	f.root = f.make(&inode{folder: newFolder()})
	return f
}

func (f *FS) make(n *inode) *inode {
	f.inodes = append(f.inodes, n)
	return n
}

// OpenFile implements local.FS.
func (f *FS) OpenFile(name string, flag int) (local.File, error) {
	if flag == os.O_RDONLY {
		return f.open(name)
	}
	f.before("create " + name)
	f.mu.Lock()
	defer f.mu.Unlock()
	in, last, err := f.place(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	n := f.make(&inode{file: &content{}})
	in.set(last, n)
	return &file{fs: f, name: name, content: n.file, writable: true}, nil
}

func (f *FS) open(name string) (local.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find(name)
	if err == nil && n.file == nil {
		err = fs.ErrNotExist // a folder is not a file
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &file{fs: f, name: name, content: n.file}, nil
}

// Link implements local.FS.
func (f *FS) Link(name, second string) error {
	f.before("link " + name + " to " + second)
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find(name)
	if err == nil && n.file == nil {
		err = syscall.EPERM
	}
	var in *folder
	var last string
	if err == nil {
		in, last, err = f.place(second)
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: name, New: second, Err: err}
	}
	in.set(last, n)
	return nil
}

// Mkdir implements local.FS.
func (f *FS) Mkdir(name string) error {
	f.before("mkdir " + name)
	f.mu.Lock()
	defer f.mu.Unlock()
	in, last, err := f.place(name)
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	in.set(last, f.make(&inode{folder: newFolder()}))
	return nil
}

// Remove implements local.FS.
func (f *FS) Remove(name string) error {
	f.before("remove " + name)
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find(name)
	if err == nil && n.file == nil {
		err = syscall.EISDIR
	}
	var in *folder
	if err == nil {
		in, err = f.findFolder(filepath.Dir(name))
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	in.set(filepath.Base(name), nil)
	return nil
}

// ReadDir implements local.FS.
func (f *FS) ReadDir(name string) ([]local.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	in, err := f.findFolder(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	entries := make([]local.Entry, 0, len(in.entries))
	for name, n := range in.entries {
		entry := local.Entry{Name: name, Folder: n.folder != nil}
		if n.file != nil {
			entry.Size = int64(len(n.file.bytes))
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// SyncDir implements local.FS.
func (f *FS) SyncDir(name string) error {
	f.before("sync " + name)
	f.mu.Lock()
	defer f.mu.Unlock()
	in, err := f.findFolder(name)
	if err != nil {
		return &fs.PathError{Op: "sync", Path: name, Err: err}
	}
	in.synced, in.changes = maps.Clone(in.entries), nil
	return nil
}

// place returns the folder in which a name can be made, and its last part.
func (f *FS) place(name string) (in *folder, last string, err error) {
	in, err = f.findFolder(filepath.Dir(name))
	if err != nil {
		return nil, "", err
	}
	last = filepath.Base(name)
	if in.entries[last] != nil || last == "/" {
		return nil, "", fs.ErrExist
	}
	return in, last, nil
}

func (f *FS) findFolder(name string) (*folder, error) {
	n, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if n.folder == nil {
		return nil, syscall.ENOTDIR
	}
	return n.folder, nil
}

func (f *FS) find(name string) (*inode, error) {
	n := f.root
	for part := range strings.SplitSeq(strings.Trim(filepath.Clean(name), "/"), "/") {
		switch {
		case part == "": // the root itself
		case n.folder == nil:
			return nil, syscall.ENOTDIR
		case n.folder.entries[part] == nil:
			return nil, fs.ErrNotExist
		default:
			n = n.folder.entries[part]
		}
	}
	return n, nil
}
