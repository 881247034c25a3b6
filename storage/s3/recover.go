package s3

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/talos-log/talos/storage"
)

const (
	// recoverRounds bounds how often a Recover tries to put the seal. Each round in
	// which it was overtaken doubles the distance of the wall that it puts, so that
	// a few are enough against any appender.
	recoverRounds = 32
	// wallDoublings bounds that distance.
	wallDoublings = 8
	// conflictPause is left to the request that was in the way.
	conflictPause = 50 * time.Millisecond
)

// Recover implements storage.Store.
func (s *Store) Recover(ctx context.Context, id storage.ID) (storage.Info, error) {
	if err := check(ctx, "recover", id); err != nil {
		return storage.Info{}, err
	}
	var (
		looks   sync.WaitGroup
		r       run
		loadErr error
	)
	looks.Go(func() { r, loadErr = s.resume(ctx, id) })
	e, _, err := s.find(ctx, id)
	looks.Wait()
	if err == nil && !e.sealed {
		// Only then does it matter what became of the other look.
		if err = loadErr; err == nil {
			e, err = s.recover(ctx, id, r)
		}
	}
	if err != nil {
		return storage.Info{}, s.explain(ctx, "recover", id.String(), err)
	}
	return storage.Info{Name: id.Name, Size: e.bytes, Sealed: true}, nil
}

// recover seals a segment that has at least this run, and enters that in the index.
func (s *Store) recover(ctx context.Context, id storage.ID, r run) (entry, error) {
	r, err := s.seal(ctx, id, r)
	if err != nil {
		return entry{}, err
	}
	if err := s.enterSealed(ctx, id, r.next(), r.size()); err != nil {
		return entry{}, err
	}
	s.listed.put(id, r)
	s.log.Debug("segment recovered", "segment", id.String(), "chunks", r.next(), "bytes", r.size())
	return entry{name: id.Name, sealed: true, chunks: r.next(), bytes: r.size()}, nil
}

// seal puts the seal at the first number that is missing, unless there is one. The
// segment has at least what is settled of this run; all of what is returned is.
func (s *Store) seal(ctx context.Context, id storage.ID, r run) (run, error) {
	overtaken := 0
	for range recoverRounds {
		if !r.exists() {
			return run{}, storage.ErrNotFound
		}
		var settled bool
		listed, sealed := r.end(), r.sealed
		group, asking := errgroup.WithContext(ctx)
		group.Go(func() (err error) {
			settled, err = s.settled(asking, id, listed)
			return err
		})
		if !sealed {
			group.Go(func() (err error) {
				sealed, err = s.putSeal(asking, id, r.next(), &overtaken)
				return err
			})
		}
		err := group.Wait()
		if err == nil && settled && sealed {
			r.sealed = true
			return r, nil
		}
		if err == nil {
			r, err = s.load(ctx, id)
		}
		if err != nil {
			return run{}, err
		}
	}
	return run{}, fmt.Errorf("the seal could not be put in %d rounds", recoverRounds)
}

// putSeal tells whether it put the seal. If not, somebody else was there before.
func (s *Store) putSeal(ctx context.Context, id storage.ID, number int64, overtaken *int) (bool, error) {
	err := s.bucket.create(ctx, s.chunk(id, number), nil)
	switch {
	case errors.Is(err, errTaken):
		if *overtaken++; *overtaken == 1 {
			return false, nil // most likely by another Recover
		}
		return false, s.wall(ctx, id, number+window<<min(*overtaken, wallDoublings))
	case errors.Is(err, errConflict):
		return false, pause(ctx, conflictPause)
	}
	return err == nil, err
}

// settled tells whether objects that were listed are there for good. MinIO lists an
// object whose PUT has not ended, and takes it back if whoever sent that is gone by
// then: a node that was killed, say. A HEAD waits for the end of the PUT.
func (s *Store) settled(ctx context.Context, id storage.ID, listed []object) (bool, error) {
	sizes := make([]int64, len(listed))
	group, ctx := errgroup.WithContext(ctx)
	for i, o := range listed {
		group.Go(func() (err error) {
			sizes[i], err = s.bucket.size(ctx, s.chunk(id, o.number))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return false, err
	}
	for i, o := range listed {
		if sizes[i] != o.size {
			s.log.Info("an object was listed that is not there: its request failed", "segment", id.String(), "number", o.number)
			return false, nil
		}
	}
	return true, nil
}

// wall puts an empty object where no chunk is yet. That it is too late, or that
// another wall is there, does not matter.
func (s *Store) wall(ctx context.Context, id storage.ID, number int64) error {
	err := s.bucket.create(ctx, s.chunk(id, number), nil)
	if errors.Is(err, errTaken) || errors.Is(err, errConflict) {
		return nil
	}
	return err
}

// enterSealed makes the index say that a segment is sealed. It may be repeated,
// and by several at once. If the segment was removed meanwhile it takes the entry
// back: whoever removes a segment looks for entries after its head is gone.
func (s *Store) enterSealed(ctx context.Context, id storage.ID, chunks, bytes int64) error {
	sealed := s.sealed(id, chunks, bytes)
	if err := s.bucket.overwrite(ctx, sealed); err != nil {
		return err
	}
	var removal sync.WaitGroup
	removal.Go(func() {
		if err := s.bucket.remove(ctx, s.open(id)); err != nil {
			// The other entry is what counts; this one goes with the segment.
			s.log.Warn("an index entry was not removed", "key", s.open(id), "error", err)
		}
	})
	size, err := s.bucket.size(ctx, s.chunk(id, 0))
	removal.Wait()
	if err == nil && size <= 0 {
		err = errors.Join(storage.ErrNotFound, s.bucket.remove(ctx, sealed, s.open(id)))
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
