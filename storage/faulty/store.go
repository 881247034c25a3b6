package faulty

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// Store is a storage.Store with faults.
type Store struct {
	inner storage.Store
	hook  Hook

	mu    sync.Mutex // guards calls
	calls map[Op]int
}

// New returns a store around inner. A nil hook means no faults.
func New(inner storage.Store, hook Hook) *Store {
	if hook == nil {
		hook = Rules()
	}
	return &Store{inner: inner, hook: hook, calls: map[Op]int{}}
}

// Create implements storage.Store. If the After step fails, the segment exists
// and its appender has been abandoned.
func (s *Store) Create(ctx context.Context, id storage.ID, head []byte, d talos.Durability) (storage.Appender, error) {
	var inner storage.Appender
	err := s.call(ctx, Create, id, func() (err error) {
		inner, err = s.inner.Create(ctx, id, head, d)
		return err
	})
	if err != nil {
		if inner != nil {
			inner.Abandon()
		}
		return nil, err
	}
	return newAppender(s, id, inner), nil
}

// Recover implements storage.Store.
func (s *Store) Recover(ctx context.Context, id storage.ID) (info storage.Info, err error) {
	err = s.call(ctx, Recover, id, func() (err error) {
		info, err = s.inner.Recover(ctx, id)
		return err
	})
	if err != nil {
		return storage.Info{}, err
	}
	return info, nil
}

// Open implements storage.Store.
func (s *Store) Open(ctx context.Context, id storage.ID) (storage.Reader, error) {
	var inner storage.Reader
	err := s.call(ctx, Open, id, func() (err error) {
		inner, err = s.inner.Open(ctx, id)
		return err
	})
	if err != nil {
		if inner != nil {
			_ = inner.Close() // the error of the step is what counts
		}
		return nil, err
	}
	return &reader{Reader: inner, store: s, id: id}, nil
}

// List implements storage.Store.
func (s *Store) List(ctx context.Context, folder string) (listing storage.Listing, err error) {
	err = s.call(ctx, List, storage.ID{Folder: folder}, func() (err error) {
		listing, err = s.inner.List(ctx, folder)
		return err
	})
	if err != nil {
		return storage.Listing{}, err
	}
	return listing, nil
}

// Remove implements storage.Store.
func (s *Store) Remove(ctx context.Context, id storage.ID) error {
	return s.call(ctx, Remove, id, func() error { return s.inner.Remove(ctx, id) })
}

// Purge implements storage.Purger; it has no faults of its own.
func (s *Store) Purge(ctx context.Context, folder string) error {
	return storage.Purge(ctx, s.inner, folder)
}

// Traits implements storage.Store.
func (s *Store) Traits() storage.Traits { return s.inner.Traits() }

// call makes an inner call with its fault.
func (s *Store) call(ctx context.Context, op Op, id storage.ID, inner func() error) error {
	fault := s.fault(op, id)
	if err := fault.Before.run(ctx); err != nil {
		return err
	}
	if err := inner(); err != nil {
		return err
	}
	return fault.After.run(ctx)
}

// fault counts a call and asks the hook about it.
func (s *Store) fault(op Op, id storage.ID) Fault {
	s.mu.Lock()
	s.calls[op]++
	c := Call{Op: op, ID: id, N: s.calls[op]}
	s.mu.Unlock()
	return s.hook(c)
}

func (step Step) run(ctx context.Context) error {
	if step == nil {
		return nil
	}
	return step(ctx)
}

type reader struct {
	storage.Reader
	store *Store
	id    storage.ID
}

// ReadAt implements storage.Reader. The end of the segment is no failure: the
// After step runs after it too.
func (r *reader) ReadAt(ctx context.Context, p []byte, off int64) (n int, err error) {
	var end error
	err = r.store.call(ctx, Read, r.id, func() (err error) {
		n, err = r.Reader.ReadAt(ctx, p, off)
		if errors.Is(err, io.EOF) {
			end, err = err, nil
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, end
}
