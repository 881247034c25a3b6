package local

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// Create implements storage.Store. See the package comment for its steps. All
// appends are synced: nothing weaker would be much faster.
func (s *Store) Create(ctx context.Context, id storage.ID, head []byte, _ talos.Durability) (storage.Appender, error) {
	const op = "local.Create"
	if err := check(ctx, op, id); err != nil {
		return nil, err
	}
	unnamed := filepath.Join(s.creating(), rand.Text())
	file, err := s.fs.OpenFile(unnamed, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, failure(op, id.String(), err)
	}
	a := newAppender(id, file, int64(len(head)), s.forget)
	err = s.publish(a, unnamed, head)
	// Should this name stay, the next opening of the root removes it.
	_ = s.fs.Remove(unnamed)
	if err != nil {
		a.Abandon()
		return nil, failure(op, id.String(), err)
	}
	return a, nil
}

// publish takes an appender's new file from its creation to a durable name. The
// appender is registered and locked before anybody can see the name; if a
// Recover comes before publish returns, the appender is dead from the start.
func (s *Store) publish(a *appender, unnamed string, head []byte) error {
	if err := a.file.TryLock(true); err != nil {
		return err
	}
	if _, err := a.file.WriteAt(head, 0); err != nil {
		return err
	}
	if err := a.file.Datasync(); err != nil {
		return err
	}
	if err := s.makeFolders(a.id.Folder); err != nil {
		return err
	}
	if !s.register(a) {
		return fs.ErrExist
	}
	if err := s.fs.Link(unnamed, s.path(a.id)); err != nil {
		return err
	}
	return s.fs.SyncDir(s.folderPath(a.id.Folder))
}

// makeFolders makes a folder below the root, and all of it durable. A folder
// that exists already is synced too: who made it may not have come that far.
func (s *Store) makeFolders(folder string) error {
	if folder == "" {
		return nil
	}
	path := s.root
	for part := range strings.SplitSeq(folder, "/") {
		parent := path
		path = filepath.Join(parent, part)
		if err := s.fs.Mkdir(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := s.fs.SyncDir(parent); err != nil {
			return err
		}
	}
	return nil
}

// register makes an appender known to Recover and Remove.
func (s *Store) register(a *appender) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[a.id] != nil {
		return false
	}
	s.live[a.id] = a
	return true
}

// forget is called by an appender that has been closed.
func (s *Store) forget(a *appender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[a.id] == a {
		delete(s.live, a.id)
	}
}

// stopLive stops the appender of this Store, if there is one.
func (s *Store) stopLive(ctx context.Context, id storage.ID) error {
	s.mu.Lock()
	a := s.live[id]
	s.mu.Unlock()
	if a == nil {
		return nil
	}
	return a.stop(ctx)
}
