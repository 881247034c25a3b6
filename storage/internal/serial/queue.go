package serial

import (
	"context"
	"sync"
)

// Queue hands items to its handler. Its methods may be called concurrently,
// also by the handler, which must not Wait.
type Queue[T any] struct {
	handle func(batch []T)

	mu      sync.Mutex // guards the fields below
	running bool       // a goroutine is in run
	items   []T
	waiting []chan struct{} // closed once the items that were put before them are handled
}

// New returns an empty queue. The handler is given everything that has come
// together since it was last called; it must not keep the slice.
func New[T any](handle func(batch []T)) *Queue[T] {
	return &Queue[T]{handle: handle}
}

// Put adds an item and returns at once.
func (q *Queue[T]) Put(item T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append(q.items, item)
	if !q.running {
		q.running = true
		go q.run()
	}
}

// Wait returns when every item that was put before has been handled, or with
// the context's error. Items that keep coming do not hold it up.
func (q *Queue[T]) Wait(ctx context.Context) error {
	select {
	case <-q.flushed():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *Queue[T]) flushed() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	done := make(chan struct{})
	if q.running {
		q.waiting = append(q.waiting, done)
	} else {
		close(done)
	}
	return done
}

func (q *Queue[T]) run() {
	var batch []T
	for {
		var waiting []chan struct{}
		clear(batch)
		q.mu.Lock()
		if len(q.items) == 0 && len(q.waiting) == 0 {
			q.items = nil // an idle queue keeps no memory
			q.running = false
			q.mu.Unlock()
			return
		}
		batch, q.items = q.items, batch[:0]
		waiting, q.waiting = q.waiting, nil
		q.mu.Unlock()
		if len(batch) > 0 {
			q.handle(batch)
		}
		for _, done := range waiting {
			close(done)
		}
	}
}
