package local_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/talos-log/talos/storage/local"
)

// hookedFS is the operating system's, with a hook before each operation that
// may fail it. Operations read like "sync topic/0"; names are relative to the
// root, random ones are "*".
type hookedFS struct {
	local.OS
	root string

	mu     sync.Mutex // guards the fields below
	log    []string
	before func(op string) error
	after  func(op string)
}

func (h *hookedFS) do(op, name string, call func() error) error {
	rel, err := filepath.Rel(h.root, name)
	if err != nil {
		return err
	}
	if strings.HasPrefix(rel, ".creating/") {
		rel = ".creating/*"
	}
	op += " " + rel
	h.mu.Lock()
	h.log = append(h.log, op)
	before, after := h.before, h.after
	h.mu.Unlock()
	if before != nil {
		if err := before(op); err != nil {
			return &os.PathError{Op: strings.Fields(op)[0], Path: name, Err: err}
		}
	}
	err = call()
	if after != nil {
		after(op)
	}
	return err
}

// set changes the hooks, and forgets what was logged.
func (h *hookedFS) set(before func(op string) error, after func(op string)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.before, h.after, h.log = before, after, nil
}

func (h *hookedFS) logged() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.log...)
}

func (h *hookedFS) OpenFile(name string, flag int) (f local.File, err error) {
	op := "open"
	if flag&os.O_CREATE != 0 {
		op = "create"
	}
	err = h.do(op, name, func() (err error) { f, err = h.OS.OpenFile(name, flag); return err })
	if err != nil {
		return nil, err
	}
	return &hookedFile{File: f, fs: h, name: name}, nil
}

func (h *hookedFS) Link(name, second string) error {
	return h.do("link", second, func() error { return h.OS.Link(name, second) })
}

func (h *hookedFS) Mkdir(name string) error {
	return h.do("mkdir", name, func() error { return h.OS.Mkdir(name) })
}

func (h *hookedFS) Remove(name string) error {
	return h.do("remove", name, func() error { return h.OS.Remove(name) })
}

func (h *hookedFS) SyncDir(name string) error {
	return h.do("sync", name, func() error { return h.OS.SyncDir(name) })
}

type hookedFile struct {
	local.File
	fs   *hookedFS
	name string
}

func (f *hookedFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.do(fmt.Sprintf("write %d bytes at %d to", len(p), off), f.name, func() (err error) {
		n, err = f.File.WriteAt(p, off)
		return err
	})
	return n, err
}

func (f *hookedFile) Datasync() error { return f.fs.do("datasync", f.name, f.File.Datasync) }

func (f *hookedFile) TryLock(exclusive bool) error {
	op := "lock shared"
	if exclusive {
		op = "lock"
	}
	return f.fs.do(op, f.name, func() error { return f.File.TryLock(exclusive) })
}

func (f *hookedFile) Close() error { return f.fs.do("close", f.name, f.File.Close) }

// openHooked opens a store on a hooked file system.
func openHooked(t *testing.T, root string, opts local.Options) (*local.Store, *hookedFS) {
	t.Helper()
	h := &hookedFS{root: root}
	opts.FS = h
	s := open(t, root, opts)
	h.set(nil, nil)
	return s, h
}

// afterOp returns a context that ends after the n-th operation of a name.
func (h *hookedFS) afterOp(t *testing.T, op string, n int) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	h.set(nil, func(done string) {
		if done == op {
			if n--; n == 0 {
				cancel()
			}
		}
	})
	return ctx
}
