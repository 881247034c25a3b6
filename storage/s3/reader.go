package s3

import (
	"context"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/talos-log/talos/storage"
)

// readParallel bounds the requests of one ReadAt that are on their way.
const readParallel = 8

// reader reads one segment: it knows the sizes of the chunks, and lists those
// behind when more is asked for.
type reader struct {
	store *Store
	id    storage.ID

	mu  sync.Mutex // guards run
	run run
}

// Open implements storage.Store.
func (s *Store) Open(ctx context.Context, id storage.ID) (storage.Reader, error) {
	if err := check(ctx, "open", id); err != nil {
		return nil, err
	}
	r, err := s.whole(ctx, id)
	if err != nil {
		return nil, s.explain(ctx, "open", id.String(), err)
	}
	return &reader{store: s, id: id, run: r}, nil
}

// whole returns the run of a segment from which nothing is missing.
func (s *Store) whole(ctx context.Context, id storage.ID) (run, error) {
	r, err := s.resume(ctx, id)
	switch {
	case err != nil:
		return run{}, err
	case !r.exists():
		return run{}, storage.ErrNotFound
	case r.sealed || !r.beyond:
		return r, nil
	}
	return r, s.checkIndex(ctx, id, r)
}

// checkIndex is for a segment in which a number is missing before others: noise,
// or a wall, unless the index says that this very number was there.
func (s *Store) checkIndex(ctx context.Context, id storage.ID, r run) error {
	e, _, err := s.find(ctx, id)
	if err == nil && e.sealed && r.next() < e.chunks {
		err = s.damaged(id, r.next())
	}
	return err
}

// ReadAt implements storage.Reader.
func (r *reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("s3: read %s: negative offset %d", r.id, off)
	}
	if err := context.Cause(ctx); err != nil {
		return 0, r.store.explain(ctx, "read", r.id.String(), err)
	}
	end := off + int64(len(p))
	now, err := r.upTo(ctx, end)
	if err == nil {
		end = max(min(end, now.size()), off)
		err = r.fetch(ctx, now, p[:end-off], off)
	}
	if err != nil {
		return 0, r.store.explain(ctx, "read", r.id.String(), err)
	}
	if n := int(end - off); n < len(p) {
		return n, io.EOF
	}
	return len(p), nil
}

// fetch fills p with what lies at off, which is all there.
func (r *reader) fetch(ctx context.Context, now run, p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readParallel)
	end := off + int64(len(p))
	from, to := now.covering(off, end)
	for number := from; number < to; number++ {
		c := now.chunks[number]
		begin, stop := max(off, c.off), min(end, c.off+c.size)
		group.Go(func() error {
			err := r.store.bucket.read(ctx, r.store.chunk(r.id, int64(number)), begin-c.off, p[begin-off:stop-off])
			if missing(err) {
				err = fmt.Errorf("%w: it was removed: %w", storage.ErrNotFound, err)
			}
			return err
		})
	}
	return group.Wait()
}

// Size implements storage.Reader.
func (r *reader) Size(ctx context.Context) (int64, error) {
	now, err := r.upTo(ctx, -1)
	if err != nil {
		return 0, r.store.explain(ctx, "size of", r.id.String(), err)
	}
	return now.size(), nil
}

// upTo returns the run, after a look at what came to it if it does not reach up
// to end; -1 means that it never does.
func (r *reader) upTo(ctx context.Context, end int64) (run, error) {
	r.mu.Lock()
	now := r.run
	r.mu.Unlock()
	if err := context.Cause(ctx); err != nil {
		return run{}, err
	}
	if now.sealed || end >= 0 && end <= now.size() {
		return now, nil
	}
	objects, err := r.store.objects(ctx, r.id, now.next()-1)
	if err != nil {
		return run{}, err
	}
	now = now.extend(objects)
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.next() > r.run.next() || now.sealed {
		r.run = now
	}
	return r.run, nil
}

// Close implements storage.Reader. There is nothing to close.
func (r *reader) Close() error { return nil }
