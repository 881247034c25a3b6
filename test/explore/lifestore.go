package explore

import (
	"context"
	"io"
	"sync"
	"testing/cryptotest"

	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// askedStore is the store as one owner meets it: each call becomes a question.
type askedStore struct{ life *life }

func (s askedStore) Create(_ context.Context, id storage.ID, head []byte, _ talos.Durability) (storage.Appender, error) {
	s.life.say(saying{what: triesName, name: id.Name})
	t := s.life.ask(question{verb: doCreate, segment: id.Name, bytes: string(head)})
	if t.failed != noReason {
		return nil, t.failed.err()
	}
	return &askedAppender{life: s.life, name: id.Name}, nil
}

func (s askedStore) Recover(_ context.Context, id storage.ID) (storage.Info, error) {
	t := s.life.ask(question{verb: doRecover, segment: id.Name})
	return storage.Info{Name: id.Name, Size: t.size, Sealed: true}, t.failed.err()
}

func (s askedStore) Open(_ context.Context, id storage.ID) (storage.Reader, error) {
	t := s.life.ask(question{verb: doOpen, segment: id.Name, atOnce: true})
	if t.failed != noReason {
		return nil, t.failed.err()
	}
	return toldReader(t.content.bytes), nil
}

func (s askedStore) List(context.Context, string) (storage.Listing, error) {
	t := s.life.ask(question{verb: doList})
	if t.failed != noReason {
		return storage.Listing{}, t.failed.err()
	}
	return storage.Listing{Segments: t.listing.segments}, nil
}

func (s askedStore) Remove(_ context.Context, id storage.ID) error {
	return s.life.ask(question{verb: doRemove, segment: id.Name}).failed.err()
}

func (askedStore) Traits() storage.Traits { return storage.Traits{OrderedTail: true} }

// toldReader reads what was there when the segment was opened.
type toldReader string

func (r toldReader) ReadAt(_ context.Context, p []byte, off int64) (int, error) {
	if off >= int64(len(r)) {
		return 0, io.EOF
	}
	n := copy(p, r[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r toldReader) Size(context.Context) (int64, error) { return int64(len(r)), nil }
func (toldReader) Close() error                          { return nil }

type askedAppender struct {
	life *life
	name string
	nth  int
	// waiting counts the appends without an answer.
	waiting sync.WaitGroup
	failed  bool // guarded by the life's lock
}

func (a *askedAppender) Append(p []byte, done func(error)) {
	a.nth++
	a.waiting.Add(1)
	a.life.enter(question{verb: doAppend, segment: a.name, nth: a.nth, bytes: string(p)}, func(t told) {
		a.life.mu.Lock()
		if a.failed && t.failed == noReason {
			t.failed = dead
		}
		a.failed = a.failed || t.failed != noReason
		a.life.mu.Unlock()
		done(t.failed.err())
		a.waiting.Done()
	})
}

// Seal takes effect at once: nothing else can be chosen between the append of
// the footer and it.
func (a *askedAppender) Seal(context.Context) error {
	a.waiting.Wait()
	a.life.mu.Lock()
	defer a.life.mu.Unlock()
	if a.failed {
		return storage.ErrDead
	}
	a.life.said = append(a.life.said, saying{what: sealsSegment, name: a.name})
	return nil
}

// Abandon fails the appends that wait, as the contract says. What was made late
// may still come, until somebody recovers the segment.
func (a *askedAppender) Abandon() {
	for _, w := range a.life.drop(func(q *question) bool { return q.verb == doAppend && q.segment == a.name }) {
		w.answer(told{failed: faulty})
	}
}

// Roll never asks: a segment that the store would have ended ends like a full one.
func (*askedAppender) Roll() <-chan struct{} { return nil }

// askedRecord is the record as one owner meets it.
type askedRecord struct{ life *life }

var _ partition.Records = askedRecord{}

func (r askedRecord) Raise(context.Context) (talos.PartitionRecord, error) {
	t := r.life.ask(question{verb: doRaise})
	if t.failed == noReason {
		// Segments are made of random salts; two of one epoch are none of the
		// protocol, and equal ones in each replay make states comparable.
		cryptotest.SetGlobalRandom(r.life.t, uint64(t.record.Epoch))
	}
	return t.record, t.failed.err()
}

func (r askedRecord) Read(context.Context) (talos.PartitionRecord, error) {
	t := r.life.ask(question{verb: doRead, atOnce: r.life.looks()})
	return t.record, t.failed.err()
}

func (r askedRecord) Swap(_ context.Context, old, next talos.PartitionRecord) error {
	return r.life.ask(question{verb: doSwap, old: old, next: next}).failed.err()
}
