package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// Remove implements storage.Store. It stops the segment's appender, wherever that
// is. Two empty objects stay until the folder is purged.
func (s *Store) Remove(ctx context.Context, id storage.ID) error {
	if err := check(ctx, "remove", id); err != nil {
		return err
	}
	return s.explain(ctx, "remove", id.String(), s.remove(ctx, id))
}

// remove may end after any step and be repeated. The index entries go last.
func (s *Store) remove(ctx context.Context, id storage.ID) error {
	_, found, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	if err := s.bury(ctx, id, found); err != nil {
		return err
	}
	if err := s.removeChunks(ctx, id); err != nil {
		return err
	}
	return s.removeEntries(ctx, id)
}

// bury makes object 0 empty, after the seal of a segment that is there. If there
// is none but it may come to be, it puts an object 0, so that it never does.
func (s *Store) bury(ctx context.Context, id storage.ID, expected bool) error {
	for {
		r, err := s.resume(ctx, id)
		if err == nil {
			_, err = s.seal(ctx, id, r)
		}
		switch {
		case errors.Is(err, talos.CorruptSegment):
			s.log.Warn("a damaged segment is removed: its appender, if one lives, is not stopped", "segment", id.String(), "error", err)
			return s.bucket.overwrite(ctx, s.chunk(id, 0))
		case err == nil:
			return s.bucket.overwrite(ctx, s.chunk(id, 0))
		case !errors.Is(err, storage.ErrNotFound):
			return err
		case !expected:
			return nil
		}
		err = s.bucket.create(ctx, s.chunk(id, 0), nil)
		if !errors.Is(err, errTaken) {
			return err
		}
		if size, err := s.bucket.size(ctx, s.chunk(id, 0)); err != nil || size == 0 {
			return err
		}
		// It has come to be meanwhile.
	}
}

// removeChunks leaves the empty objects of a segment alone.
func (s *Store) removeChunks(ctx context.Context, id storage.ID) error {
	objects, err := s.objects(ctx, id, -1)
	if err != nil {
		return err
	}
	var keys []string
	for _, o := range objects {
		if o.size > 0 {
			keys = append(keys, s.chunk(id, o.number))
		}
	}
	return s.bucket.remove(ctx, keys...)
}

func (s *Store) removeEntries(ctx context.Context, id storage.ID) error {
	var keys []string
	err := s.bucket.list(ctx, s.entries(id), "", true, func(rest string, _ int64) {
		keys = append(keys, s.entries(id)+rest)
	})
	if err != nil {
		return err
	}
	return s.bucket.remove(ctx, keys...)
}

// Purge implements storage.Purger: it removes what is left of the segments of a
// folder, and of those below it, that were removed or never came to be. Segments
// that are there stay.
func (s *Store) Purge(ctx context.Context, folder string) error {
	if err := context.Cause(ctx); err != nil {
		return s.explain(ctx, "purge", folder, err)
	}
	if err := storage.ValidateFolder(folder); err != nil || folder == "" {
		return fmt.Errorf("s3: purge %q: %w", folder, errors.Join(storage.ErrInvalid, err))
	}
	return s.explain(ctx, "purge", folder, s.purge(ctx, folder))
}

func (s *Store) purge(ctx context.Context, folder string) error {
	leftOver := map[string][]string{} // keys by segment
	removed := map[string]bool{}
	err := s.bucket.list(ctx, s.chunksFolder(folder), "", true, func(rest string, size int64) {
		segment, number, ok := strings.Cut(rest, mark+"/")
		if !ok {
			return
		}
		if n, ok := parseNumber(number); ok {
			leftOver[segment] = append(leftOver[segment], s.chunksFolder(folder)+rest)
			if n == 0 && size == 0 {
				removed[segment] = true
			}
		}
	})
	if err != nil {
		return err
	}
	if err := s.purgeEntries(ctx, folder, leftOver); err != nil {
		return err
	}
	for segment := range removed {
		// Object 0, by which a segment is known to be removed, goes last.
		keys := leftOver[segment]
		if err := s.bucket.remove(ctx, keys[1:]...); err != nil {
			return err
		}
		if err := s.bucket.remove(ctx, keys[0]); err != nil {
			return err
		}
	}
	return nil
}

// purgeEntries removes the entries of segments that never came to be: an object 0
// that is put in their place shows that they did not, and goes again.
func (s *Store) purgeEntries(ctx context.Context, folder string, chunks map[string][]string) error {
	entries := map[string][]string{}
	err := s.bucket.list(ctx, s.indexFolder(folder), "", true, func(rest string, _ int64) {
		if segment, _, ok := strings.Cut(rest, mark); ok && chunks[segment] == nil {
			entries[segment] = append(entries[segment], s.indexFolder(folder)+rest)
		}
	})
	if err != nil {
		return err
	}
	for segment, keys := range entries {
		head := s.chunksFolder(folder) + segment + mark + "/" + digits(0)
		err := s.bucket.create(ctx, head, nil)
		if errors.Is(err, errTaken) {
			continue
		}
		if err == nil {
			err = s.bucket.remove(ctx, append(keys, head)...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
