package sdk

import (
	"context"
	"sync"
	"time"

	"github.com/talos-log/talos/talos"
)

// entry is what is kept of a record until it is done.
type entry struct {
	done   func(Delivery, error)
	cost   int64     // of the buffer, in bytes
	since  time.Time // when it was taken
	cohort *cohort
}

// taken is a record on its way into a batch; or, if flush is set, the mark that
// Flush puts behind the records before it.
type taken struct {
	partition int32
	bound     int // what it takes in a batch at most, in bytes
	record    talos.Record
	at        time.Time
	entry     entry
	flush     *flush
}

// flush is a call of Flush that waits.
type flush struct {
	ctx  context.Context // of the call: nobody reads done after its end
	done chan error      // has room for the one answer
}

// intake hands over what Send took to the pipeline. The buffer's room bounds it.
type intake struct {
	// wake has one token if there is something to take.
	wake chan struct{}
	// open ends when nothing more is taken; its cause says why.
	open context.Context
	shut context.CancelCauseFunc

	mu    sync.Mutex // guards items, and that nothing is put after close
	items []taken
}

func newIntake() *intake {
	q := &intake{wake: make(chan struct{}, 1)}
	q.open, q.shut = context.WithCancelCause(context.Background())
	return q
}

// put takes a record unless the intake is closed.
func (q *intake) put(t taken) error {
	q.mu.Lock()
	if q.open.Err() != nil {
		q.mu.Unlock()
		return context.Cause(q.open)
	}
	q.items = append(q.items, t)
	q.mu.Unlock()
	q.ring()
	return nil
}

// putFlush takes a mark; also when the intake is closed, since Close flushes.
func (q *intake) putFlush(f *flush) {
	q.mu.Lock()
	q.items = append(q.items, taken{flush: f})
	q.mu.Unlock()
	q.ring()
}

func (q *intake) ring() {
	select {
	case q.wake <- struct{}{}:
	default: // there is a token
	}
}

// takeAll returns what was put, and puts spare, which is empty, in its place.
func (q *intake) takeAll(spare []taken) []taken {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items = spare
	return items
}

// close refuses all further records with err; the first call decides.
func (q *intake) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.shut(err)
}
