package local_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/storage/local/crashfs"
	"github.com/talos-log/talos/talos"
)

// promise is what a store has promised of one segment.
type promise struct {
	id   storage.ID
	head []byte
	// sent is the head and all appends, acknowledged or not.
	sent     []byte
	appender storage.Appender // nil until Create has returned
	ending   bool             // Seal or Abandon was called

	// present is true once Create or Recover has returned.
	present bool
	// acked is the length of what was acknowledged.
	acked int
	// final is the content once it can't change: Seal or Recover has returned.
	final []byte
	// removing is true once Remove was called, removed once it has returned.
	removing, removed bool
}

// keep notes the final content; a later one must be the same.
func (p *promise) keep(content []byte) error {
	// A Recover may come back with what a Remove then removed.
	if err := p.check(content); err != nil && !p.removing {
		return err
	}
	p.final = content
	return nil
}

// check compares what is found of a segment with what was promised.
func (p *promise) check(content []byte) error {
	switch {
	case p.removed:
		return fmt.Errorf("%s is back: it was removed", p.id)
	case !bytes.HasPrefix(content, p.head):
		return fmt.Errorf("%s has lost its head: it begins with %q", p.id, content)
	case !bytes.HasPrefix(content, p.sent[:p.acked]):
		return fmt.Errorf("%s has lost what was acknowledged: %q of %q", p.id, content, p.sent[:p.acked])
	case len(content) > len(p.sent):
		return fmt.Errorf("%s has more than was ever sent: %q", p.id, content)
	case p.final != nil && !bytes.Equal(content, p.final):
		return fmt.Errorf("%s has changed: %q, and it was final as %q", p.id, content, p.final)
	}
	return nil
}

// survives opens the store on what a crash has left and compares that with what
// was promised. It then goes on as a new process would; and after one more crash,
// that of the power, nothing of what it saw or did may be lost.
func (s *crashScript) survives(disk *crashfs.FS, killed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	store, err := local.Open(crashRoot, local.Options{FS: disk})
	if err != nil {
		return err
	}
	found, err := s.found(store)
	if err != nil {
		return err
	}
	folders := crashFolders
	if !killed { // then nothing is half made, and one folder is as good as another
		folders = []string{folders[s.rng.IntN(len(folders))]}
	}
	if err := s.removeAgain(store, found); err != nil {
		return fmt.Errorf("going on: %w", err)
	}
	// Before anything else syncs the folders.
	if err := s.same(disk.PowerCut(crashfs.Nothing), found); err != nil {
		return fmt.Errorf("and a second power cut: %w", err)
	}
	if err := s.createMore(store, found, folders); err != nil {
		return fmt.Errorf("going on: %w", err)
	}
	for _, pick := range []crashfs.Pick{crashfs.Nothing, s.rng.IntN} {
		if err := s.same(disk.PowerCut(pick), found); err != nil {
			return fmt.Errorf("and a second power cut: %w", err)
		}
	}
	return nil
}

// found recovers all segments and checks them; it returns what they hold.
func (s *crashScript) found(store *local.Store) (map[storage.ID][]byte, error) {
	found := map[storage.ID][]byte{}
	for _, p := range s.promises {
		content, err := recovered(s.ctx, store, p.id)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			if p.present && !p.removing {
				return nil, fmt.Errorf("%s is gone", p.id)
			}
		case err != nil:
			return nil, err
		default:
			if err := p.check(content); err != nil {
				return nil, err
			}
			found[p.id] = content
		}
	}
	return found, listed(s.ctx, store, found)
}

// removeAgain removes what was to be removed.
func (s *crashScript) removeAgain(store *local.Store, found map[storage.ID][]byte) error {
	for _, p := range s.promises {
		if !p.removing {
			continue
		}
		if err := store.Remove(s.ctx, p.id); err != nil {
			return err
		}
		delete(found, p.id)
	}
	return nil
}

// createMore creates a segment in each of some folders.
func (s *crashScript) createMore(store *local.Store, found map[storage.ID][]byte, folders []string) error {
	for _, folder := range folders {
		id := storage.ID{Folder: folder, Name: "later"}
		a, err := store.Create(s.ctx, id, []byte("head"), talos.Sync)
		if err != nil {
			return err
		}
		if err := errors.Join(appendAll(a, "x", "y")...); err != nil {
			return err
		}
		a.Abandon()
		found[id] = []byte("headxy")
	}
	return nil
}

// same opens the store on a disk, which must have the segments that were found
// on an earlier one, and no others.
func (s *crashScript) same(disk *crashfs.FS, found map[storage.ID][]byte) error {
	store, err := local.Open(crashRoot, local.Options{FS: disk})
	if err != nil {
		return err
	}
	for _, id := range sorted(found) {
		content, err := recovered(s.ctx, store, id)
		if err != nil {
			return err
		}
		if !bytes.Equal(content, found[id]) {
			return fmt.Errorf("%s has changed: %q, and it was recovered as %q", id, content, found[id])
		}
	}
	return listed(s.ctx, store, found)
}

// listed compares the listings of all folders with what was found.
func listed(ctx context.Context, store *local.Store, found map[storage.ID][]byte) error {
	for _, folder := range crashFolders {
		listing, err := store.List(ctx, folder)
		if err != nil {
			return err
		}
		var want []storage.Info
		for _, id := range sorted(found) {
			if id.Folder == folder {
				want = append(want, storage.Info{Name: id.Name, Size: int64(len(found[id]))})
			}
		}
		if !slices.Equal(listing.Segments, want) {
			return fmt.Errorf("folder %q has %v, want %v", folder, listing.Segments, want)
		}
	}
	return nil
}

func sorted(found map[storage.ID][]byte) []storage.ID {
	return slices.SortedFunc(maps.Keys(found), func(a, b storage.ID) int {
		return bytes.Compare([]byte(a.String()), []byte(b.String()))
	})
}

// recovered recovers a segment and reads all of it.
func recovered(ctx context.Context, store *local.Store, id storage.ID) (content []byte, err error) {
	info, err := store.Recover(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := store.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	size, err := r.Size(ctx)
	if err == nil && size != info.Size {
		err = fmt.Errorf("%s is %d bytes long, but was recovered with %d", id, size, info.Size)
	}
	if err != nil {
		return nil, err
	}
	content = make([]byte, size)
	_, err = r.ReadAt(ctx, content, 0)
	return content, err
}
