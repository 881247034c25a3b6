package mem

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// Store is a storage.Store in memory. Share the one Store among those that
// shall see the same segments.
type Store struct {
	mu      sync.RWMutex                   // guards folders and the maps in it
	folders map[string]map[string]*segment // by folder, then by name; no empty ones
}

// New returns an empty store.
func New() *Store {
	return &Store{folders: map[string]map[string]*segment{}}
}

// Create implements storage.Store.
func (s *Store) Create(ctx context.Context, id storage.ID, head []byte, _ talos.Durability) (storage.Appender, error) {
	if err := check(ctx, "mem.Create", id); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	folder := s.folders[id.Folder]
	if folder[id.Name] != nil {
		return nil, fmt.Errorf("mem.Create %s: %w", id, storage.ErrExists)
	}
	if folder == nil {
		folder = map[string]*segment{}
		s.folders[id.Folder] = folder
	}
	folder[id.Name] = newSegment(id, head)
	return folder[id.Name], nil
}

// Recover implements storage.Store.
func (s *Store) Recover(ctx context.Context, id storage.ID) (storage.Info, error) {
	segment, err := s.find(ctx, "mem.Recover", id)
	if err != nil {
		return storage.Info{}, err
	}
	if err := segment.end(ctx, sealed); err != nil {
		return storage.Info{}, fmt.Errorf("mem.Recover %s: %w", id, err)
	}
	return segment.info(), nil
}

// Open implements storage.Store.
func (s *Store) Open(ctx context.Context, id storage.ID) (storage.Reader, error) {
	segment, err := s.find(ctx, "mem.Open", id)
	if err != nil {
		return nil, err
	}
	return reader{segment}, nil
}

// List implements storage.Store.
func (s *Store) List(ctx context.Context, folder string) (storage.Listing, error) {
	if err := ctx.Err(); err != nil {
		return storage.Listing{}, fmt.Errorf("mem.List %q: %w", folder, err)
	}
	if err := storage.ValidateFolder(folder); err != nil {
		return storage.Listing{}, fmt.Errorf("mem.List: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var listing storage.Listing
	for _, name := range slices.Sorted(maps.Keys(s.folders[folder])) {
		listing.Segments = append(listing.Segments, s.folders[folder][name].info())
	}
	subs := map[string]bool{}
	for path := range s.folders {
		below := path
		if folder != "" {
			rest, ok := strings.CutPrefix(path, folder+"/")
			if !ok {
				continue
			}
			below = rest
		}
		if sub, _, _ := strings.Cut(below, "/"); sub != "" {
			subs[sub] = true
		}
	}
	listing.Folders = slices.Sorted(maps.Keys(subs))
	return listing, nil
}

// Remove implements storage.Store. It frees the segment's memory as soon as no
// reader has it open.
func (s *Store) Remove(ctx context.Context, id storage.ID) error {
	if err := check(ctx, "mem.Remove", id); err != nil {
		return err
	}
	s.mu.Lock()
	folder := s.folders[id.Folder]
	segment := folder[id.Name]
	delete(folder, id.Name)
	if len(folder) == 0 {
		delete(s.folders, id.Folder)
	}
	s.mu.Unlock()
	if segment == nil {
		return nil
	}
	if err := segment.end(ctx, broken); err != nil {
		return fmt.Errorf("mem.Remove %s: %w", id, err)
	}
	return nil
}

// Traits implements storage.Store.
func (s *Store) Traits() storage.Traits {
	return storage.Traits{OrderedTail: true}
}

func (s *Store) find(ctx context.Context, op string, id storage.ID) (*segment, error) {
	if err := check(ctx, op, id); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	segment := s.folders[id.Folder][id.Name]
	if segment == nil {
		return nil, fmt.Errorf("%s %s: %w", op, id, storage.ErrNotFound)
	}
	return segment, nil
}

// check is what every call on a segment begins with.
func check(ctx context.Context, op string, id storage.ID) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", op, id, err)
	}
	if err := id.Validate(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}
