package faulty

import (
	"context"
	"sync/atomic"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/internal/serial"
)

// appender runs each append through two queues: the first takes the appends to
// the inner appender, the second takes the outcomes to the callers.
type appender struct {
	store    *Store
	id       storage.ID
	inner    storage.Appender
	issue    *serial.Queue[*appending]
	complete *serial.Queue[*appending]

	steps context.Context // of the appends' steps
	end   context.CancelFunc
	dead  atomic.Bool // no more appends go to inner

	failed bool // an append has failed; owned by the handler of complete
}

type appending struct {
	p     []byte
	done  func(error)
	fault Fault
	inner chan error // what became of it in the inner store
}

func newAppender(s *Store, id storage.ID, inner storage.Appender) *appender {
	a := &appender{store: s, id: id, inner: inner}
	a.steps, a.end = context.WithCancel(context.Background())
	a.issue = serial.New(each(a.issueOne))
	a.complete = serial.New(each(a.completeOne))
	return a
}

func each[T any](f func(T)) func([]T) {
	return func(batch []T) {
		for _, item := range batch {
			f(item)
		}
	}
}

// Append implements storage.Appender.
func (a *appender) Append(p []byte, done func(error)) {
	a.issue.Put(&appending{p: p, done: done, inner: make(chan error, 1)})
}

func (a *appender) issueOne(e *appending) {
	a.complete.Put(e)
	if a.dead.Load() {
		e.inner <- storage.ErrDead
		return
	}
	e.fault = a.store.fault(Append, a.id)
	if err := e.fault.Before.run(a.steps); err != nil {
		a.dead.Store(true)
		e.inner <- err
		return
	}
	if e.fault.Tear {
		a.dead.Store(true)
		torn := e.p[:min(e.fault.TornBytes, len(e.p))]
		a.inner.Append(torn, func(error) { e.inner <- errTorn })
		return
	}
	a.inner.Append(e.p, func(err error) { e.inner <- err })
}

// completeOne waits for the inner append, which Abandon ends if nothing else
// does.
func (a *appender) completeOne(e *appending) {
	err := <-e.inner
	switch {
	case a.failed:
		err = storage.ErrDead
	case err == nil:
		err = e.fault.After.run(a.steps)
	}
	if err != nil {
		a.failed = true
		a.dead.Store(true)
		if a.steps.Err() != nil {
			err = storage.ErrDead // given up while a step hung
		}
	}
	e.done(err)
}

// Seal implements storage.Appender.
func (a *appender) Seal(ctx context.Context) error {
	if err := a.issue.Wait(ctx); err != nil {
		return err
	}
	if err := a.complete.Wait(ctx); err != nil {
		return err
	}
	if a.dead.Swap(true) {
		return storage.ErrDead
	}
	return a.store.call(ctx, Seal, a.id, func() error { return a.inner.Seal(ctx) })
}

// Roll implements storage.Appender.
func (a *appender) Roll() <-chan struct{} { return a.inner.Roll() }

// Abandon implements storage.Appender.
func (a *appender) Abandon() {
	a.dead.Store(true)
	a.end()
	// The background context never ends, so the errors of Wait can't come.
	_ = a.issue.Wait(context.Background())
	a.inner.Abandon()
	_ = a.complete.Wait(context.Background())
}
