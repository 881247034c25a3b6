package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/talos-log/talos/storage"
)

const (
	// creatingFolder, below the root, holds what Create has not named yet. A
	// hidden name is never a segment's or a folder's.
	creatingFolder = ".creating"

	idleClose       = 5 * time.Minute
	defaultLockWait = 10 * time.Second
)

// Options are the settings of a Store.
type Options struct {
	// FS is the file system; nil means OS.
	FS FS
	// LockWait is how long Recover waits for a lock that another process, or
	// another Store of this one, has on a segment; 0 means 10 s.
	LockWait time.Duration
}

// Store is a storage.Store in a folder. It holds nothing open itself: there is
// nothing to close but its appenders and readers.
type Store struct {
	root     string
	fs       FS
	lockWait time.Duration

	mu   sync.Mutex // guards live
	live map[storage.ID]*appender
}

// Open makes the root with mode 0700 if it is missing, missing parents too, and
// removes what crashed processes left unfinished in it.
func Open(root string, opts Options) (*Store, error) {
	s, err := newStore(root, opts)
	if err == nil {
		err = s.prepare()
	}
	if err != nil {
		return nil, failure("local.Open", root, err)
	}
	return s, nil
}

// Look opens a root that is there already, and changes nothing about it: for
// tools that only list and read, also while others write. It fails with
// StoreUnavailable if the folder is no store.
func Look(root string) (*Store, error) {
	s, err := newStore(root, Options{})
	if err == nil {
		err = s.rootPresent()
	}
	if err != nil {
		return nil, failure("local.Look", root, err)
	}
	return s, nil
}

func newStore(root string, opts Options) (*Store, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	s := &Store{root: root, fs: opts.FS, lockWait: opts.LockWait, live: map[storage.ID]*appender{}}
	if s.fs == nil {
		s.fs = OS{}
	}
	if s.lockWait <= 0 {
		s.lockWait = defaultLockWait
	}
	return s, nil
}

func (s *Store) prepare() error {
	if err := s.makeRoot(s.root); err != nil {
		return err
	}
	if err := s.fs.Mkdir(s.creating()); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	leftovers, err := s.fs.ReadDir(s.creating())
	if err != nil {
		return err
	}
	for _, entry := range leftovers {
		if err := s.clean(filepath.Join(s.creating(), entry.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (s *Store) makeRoot(folder string) error {
	err := s.fs.Mkdir(folder)
	parent := filepath.Dir(folder)
	if errors.Is(err, fs.ErrNotExist) && parent != folder {
		if err := s.makeRoot(parent); err != nil {
			return err
		}
		err = s.fs.Mkdir(folder)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.fs.SyncDir(parent)
}

// clean removes a file that was never named, or keeps that name beside its own,
// unless the process that is creating it lives: that has it locked. If its
// Create is just about to lock it, that one fails.
func (s *Store) clean(path string) error {
	file, err := s.fs.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return err
	}
	err = file.TryLock(true)
	if err == nil {
		err = s.fs.Remove(path)
	}
	if locked := (*LockedError)(nil); errors.As(err, &locked) {
		err = nil
	}
	return errors.Join(err, file.Close())
}

// Open implements storage.Store.
func (s *Store) Open(ctx context.Context, id storage.ID) (storage.Reader, error) {
	if err := check(ctx, "local.Open", id); err != nil {
		return nil, err
	}
	file, err := s.fs.OpenFile(s.path(id), os.O_RDONLY)
	if err != nil {
		return nil, s.lookupFailure("local.Open", id.String(), err)
	}
	return reader{id, file}, nil
}

// List implements storage.Store.
func (s *Store) List(ctx context.Context, folder string) (storage.Listing, error) {
	if err := ctx.Err(); err != nil {
		return storage.Listing{}, failure("local.List", folder, err)
	}
	if err := storage.ValidateFolder(folder); err != nil {
		return storage.Listing{}, fmt.Errorf("local.List: %w", err)
	}
	entries, err := s.fs.ReadDir(s.folderPath(folder))
	if missing(err) || err == nil && len(entries) == 0 {
		err = s.rootPresent()
	}
	if err != nil {
		return storage.Listing{}, failure("local.List", folder, err)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	var listing storage.Listing
	for _, entry := range entries {
		id := storage.ID{Folder: folder, Name: entry.Name}
		switch {
		case id.Validate() != nil: // not ours
		case entry.Folder:
			listing.Folders = append(listing.Folders, entry.Name)
		default:
			listing.Segments = append(listing.Segments, storage.Info{Name: entry.Name, Size: entry.Size})
		}
	}
	return listing, nil
}

// Remove implements storage.Store. It stops an appender of this Store; one of
// another process would go on in a file without a name, so recover first.
func (s *Store) Remove(ctx context.Context, id storage.ID) error {
	if err := check(ctx, "local.Remove", id); err != nil {
		return err
	}
	if err := s.stopLive(ctx, id); err != nil {
		return failure("local.Remove", id.String(), err)
	}
	err := s.fs.Remove(s.path(id))
	if err == nil || missing(err) {
		// Also if the name is gone: whoever removed it may not have synced.
		err = s.fs.SyncDir(s.folderPath(id.Folder))
	}
	if missing(err) {
		err = s.rootPresent()
	}
	return failure("local.Remove", id.String(), err)
}

// Traits implements storage.Store.
func (s *Store) Traits() storage.Traits {
	return storage.Traits{IdleClose: idleClose}
}

func (s *Store) creating() string { return filepath.Join(s.root, creatingFolder) }

func (s *Store) folderPath(folder string) string {
	return filepath.Join(s.root, filepath.FromSlash(folder))
}

func (s *Store) path(id storage.ID) string {
	return filepath.Join(s.folderPath(id.Folder), id.Name)
}

// check is what every call on a segment begins with.
func check(ctx context.Context, op string, id storage.ID) error {
	if err := ctx.Err(); err != nil {
		return failure(op, id.String(), err)
	}
	if err := id.Validate(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}
