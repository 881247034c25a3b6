package mem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/internal/serial"
)

type state int

const (
	open   state = iota
	broken       // abandoned or removed: nothing is added anymore
	sealed       // the same, and it is known
)

type pending struct {
	p    []byte
	done func(error)
}

// segment is what the store keeps, and its one appender.
type segment struct {
	id    storage.ID
	queue *serial.Queue[pending]

	mu      sync.RWMutex // guards the fields below
	state   state
	content content
}

func newSegment(id storage.ID, head []byte) *segment {
	s := &segment{id: id}
	s.content.append(head)
	s.queue = serial.New(func(batch []pending) {
		for _, a := range batch {
			a.done(s.add(a.p))
		}
	})
	return s
}

// add is where an append becomes durable, or finds that it is too late.
func (s *segment) add(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return storage.ErrDead
	}
	s.content.append(p)
	return nil
}

// Append implements storage.Appender.
func (s *segment) Append(p []byte, done func(error)) {
	s.queue.Put(pending{p, done})
}

// Seal implements storage.Appender.
func (s *segment) Seal(ctx context.Context) error {
	if err := s.queue.Wait(ctx); err != nil {
		return fmt.Errorf("mem.Seal %s: %w", s.id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return fmt.Errorf("mem.Seal %s: %w", s.id, storage.ErrDead)
	}
	s.state = sealed
	return nil
}

// Roll implements storage.Appender: it never asks.
func (*segment) Roll() <-chan struct{} { return nil }

// Abandon implements storage.Appender.
func (s *segment) Abandon() {
	// The background context never ends, so the one error can't come.
	_ = s.end(context.Background(), broken)
}

// end stops the appender, and waits for its last done function.
func (s *segment) end(ctx context.Context, to state) error {
	s.mu.Lock()
	s.state = max(s.state, to)
	s.mu.Unlock()
	return s.queue.Wait(ctx)
}

func (s *segment) info() storage.Info {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return storage.Info{Name: s.id.Name, Size: s.content.size, Sealed: s.state == sealed}
}

// reader implements storage.Reader; a segment that is removed stays readable by
// those that have it open.
type reader struct{ segment *segment }

var errNegativeOffset = errors.New("mem.ReadAt: negative offset")

// ReadAt implements storage.Reader.
func (r reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("mem.ReadAt %s: %w", r.segment.id, err)
	}
	if off < 0 {
		return 0, errNegativeOffset
	}
	r.segment.mu.RLock()
	defer r.segment.mu.RUnlock()
	n := r.segment.content.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Size implements storage.Reader.
func (r reader) Size(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("mem.Size %s: %w", r.segment.id, err)
	}
	return r.segment.info().Size, nil
}

// Close implements storage.Reader.
func (r reader) Close() error { return nil }
