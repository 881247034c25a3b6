package s3

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/internal/serial"
)

const (
	// maxChunks is how long a segment may get before the appender asks for another
	// one: a takeover lists it, 1,000 keys a page, and looks at its checkpoints.
	maxChunks = 4096
)

// appender writes one segment.
//
//  1. Chunk n is sent once, and only while at most window chunks are sent and not
//     yet completed.
//  2. Appends complete in their order, on the queue. The first failure makes the
//     appender dead; all that come behind fail, whatever became of their chunks.
type appender struct {
	store *Store
	id    storage.ID
	queue *serial.Queue[*pending]
	roll  chan struct{}
	// ctx ends when the appender is dead, which then waits for no request anymore.
	ctx  context.Context
	kill context.CancelFunc

	// Owned by the caller of Append and Seal.
	number int64 // of the next append's chunk

	mu      sync.Mutex // guards the fields below
	sent    int        // appends that were sent and have not completed
	waiting []*pending // for room in the window
	dead    bool
	size    int64 // acknowledged
}

// pending is an append on its way.
type pending struct {
	key    string // "" if there is nothing to put
	p      []byte
	done   func(error)
	result chan error // what became of its chunk
}

// newAppender returns the appender of a segment whose head, of so many bytes, is
// put.
func newAppender(s *Store, id storage.ID, head int64) *appender {
	a := &appender{store: s, id: id, number: 1, size: head, roll: make(chan struct{})}
	a.ctx, a.kill = context.WithCancel(context.Background())
	a.queue = serial.New(a.complete)
	return a
}

// Append implements storage.Appender. The caller bounds how much is in flight.
func (a *appender) Append(p []byte, done func(error)) {
	one := &pending{p: p, done: done, result: make(chan error, 1)}
	if len(p) > 0 {
		one.key = a.store.chunk(a.id, a.number)
		a.number++
		if a.number == maxChunks {
			close(a.roll)
		}
	}
	a.mu.Lock()
	if a.sent < window {
		a.sent++
		go a.send(one)
	} else {
		a.waiting = append(a.waiting, one)
	}
	a.mu.Unlock()
	a.queue.Put(one)
}

// send puts a chunk. The queue waits for its result, and so for its end.
func (a *appender) send(one *pending) {
	if one.key == "" {
		one.result <- nil
		return
	}
	one.result <- a.store.bucket.create(a.ctx, one.key, one.p)
}

// complete is where appends are acknowledged, in their order.
func (a *appender) complete(batch []*pending) {
	for _, one := range batch {
		err := <-one.result
		one.done(a.settle(one, err))
	}
}

// settle makes a chunk's result the append's, and makes room for the next one:
// behind a chunk that failed none may start, or readers take the failed one for
// damage (see window).
func (a *appender) settle(one *pending, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	wasDead := a.dead
	if err != nil && !wasDead {
		a.dead = true
		a.kill()
	}
	a.sent--
	if len(a.waiting) > 0 {
		a.sent++
		next := a.waiting[0]
		a.waiting = a.waiting[1:]
		if a.dead {
			next.result <- storage.ErrDead // there is room: it has no other result
		} else {
			go a.send(next)
		}
	}
	switch {
	case wasDead:
		return storage.ErrDead
	case err != nil:
		return a.reason(err)
	}
	a.size += int64(len(one.p))
	return nil
}

// reason says why the appender died.
func (a *appender) reason(err error) error {
	if errors.Is(err, errTaken) {
		return fmt.Errorf("s3: append to %s: %w: somebody else has ended the segment: %w", a.id, storage.ErrDead, err)
	}
	return a.store.explain(context.Background(), "append to", a.id.String(), err)
}

// Seal implements storage.Appender: it puts the seal behind the last chunk.
func (a *appender) Seal(ctx context.Context) error {
	if err := a.queue.Wait(ctx); err != nil {
		return a.store.explain(ctx, "seal", a.id.String(), err)
	}
	wasDead, size := a.die()
	if wasDead {
		return fmt.Errorf("s3: seal %s: %w", a.id, storage.ErrDead)
	}
	err := a.store.bucket.create(ctx, a.store.chunk(a.id, a.number), nil)
	if err == nil {
		err = a.store.enterSealed(ctx, a.id, a.number, size)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", storage.ErrDead, a.store.explain(ctx, "seal", a.id.String(), err))
	}
	return nil
}

// die makes the appender dead, and tells whether it was.
func (a *appender) die() (wasDead bool, size int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wasDead, a.dead = a.dead, true
	a.kill()
	return wasDead, a.size
}

// Abandon implements storage.Appender.
func (a *appender) Abandon() {
	a.die()
	// The background context never ends, so the one error can't come.
	_ = a.queue.Wait(context.Background())
}

// Roll implements storage.Appender.
func (a *appender) Roll() <-chan struct{} { return a.roll }
