package explore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// verb is what a gated call does.
type verb string

const (
	doCreate  verb = "create"
	doRecover verb = "recover"
	doList    verb = "list"
	doAppend  verb = "append"
	doRaise   verb = "raise"
	doRead    verb = "read"
	doSwap    verb = "swap"
	doRemove  verb = "remove"
	// askNext is not a call of the owner's: its client asks for the next thing. It
	// is gated so that it does not race with what the owner does by itself.
	askNext verb = "ask"
)

// changes tells whether a call may take effect though its caller sees an error.
func (v verb) changes() bool { return v == doCreate || v == doAppend || v == doRaise || v == doSwap }

// canBeLate tells whether it may take effect after its caller saw the error. A
// raise is a transaction that was either sent in time or not at all: its owner
// ends anyway, so being late adds nothing to being ambiguous and crashing.
func (v verb) canBeLate() bool { return v == doCreate || v == doAppend || v == doSwap }

// call is one call that waits at the gate.
type call struct {
	owner *owner
	verb  verb
	label string
	// effect does it; it runs on the explorer's goroutine. What it returns is what
	// the caller gets, and observed is that in words.
	effect func() (observed string, err error)
	reply  func(error)
}

func (c *call) String() string { return fmt.Sprintf("%s %s %s", c.owner.name, c.verb, c.label) }

var (
	errFault   = errors.New("explore: injected fault")
	errCrashed = errors.New("explore: the owner has crashed")
)

// background is what calls take effect under: whether the caller's time was over
// is not the store's choice but the explorer's, which says so by letting the call
// fail.
var background = context.Background()

// wait stops the caller at the gate until the explorer decides.
func (o *owner) wait(v verb, label string, effect func() (string, error)) error {
	reply := make(chan error, 1)
	o.world.enter(&call{owner: o, verb: v, label: label, effect: effect, reply: func(err error) { reply <- err }})
	return <-reply
}

// gatedStore is the memory store as one owner sees it. Opening and reading are
// not gated: what is read was recovered, and changes no more.
type gatedStore struct {
	storage.Store
	owner *owner
}

func (s gatedStore) Create(_ context.Context, id storage.ID, head []byte, d talos.Durability) (storage.Appender, error) {
	var inner storage.Appender
	s.owner.world.tries(id.Name)
	err := s.owner.wait(doCreate, id.Name, func() (string, error) {
		var err error
		inner, err = s.Store.Create(background, id, head, d)
		return "", err
	})
	if err != nil {
		return nil, err
	}
	return &gatedAppender{Appender: inner, owner: s.owner, name: id.Name}, nil
}

func (s gatedStore) Recover(_ context.Context, id storage.ID) (info storage.Info, err error) {
	err = s.owner.wait(doRecover, id.Name, func() (string, error) {
		var err error
		info, err = s.Store.Recover(background, id)
		return fmt.Sprint(info.Size), err
	})
	return info, err
}

func (s gatedStore) List(_ context.Context, folder string) (listing storage.Listing, err error) {
	err = s.owner.wait(doList, "", func() (string, error) {
		var err error
		listing, err = s.Store.List(background, folder)
		return fmt.Sprint(listing), err
	})
	return listing, err
}

func (s gatedStore) Remove(_ context.Context, id storage.ID) error {
	return s.owner.wait(doRemove, id.Name, func() (string, error) { return "", s.Store.Remove(background, id) })
}

type gatedAppender struct {
	storage.Appender
	owner  *owner
	name   string
	count  int
	gated  sync.WaitGroup
	failed atomic.Bool
}

func (a *gatedAppender) Append(p []byte, done func(error)) {
	a.count++
	a.gated.Add(1)
	a.owner.world.enter(&call{
		owner: a.owner, verb: doAppend, label: fmt.Sprintf("%s #%d", a.name, a.count),
		reply: func(err error) {
			if err != nil {
				a.failed.Store(true)
			}
			done(err)
			a.gated.Done()
		},
		effect: func() (string, error) {
			if a.failed.Load() {
				return "", storage.ErrDead
			}
			result := make(chan error, 1)
			a.Appender.Append(p, func(err error) { result <- err })
			return "", <-result
		},
	})
}

func (a *gatedAppender) Seal(context.Context) error {
	a.gated.Wait()
	if a.failed.Load() {
		return storage.ErrDead
	}
	return a.Appender.Seal(background)
}

// Abandon fails the appends at the gate, as the contract says.
func (a *gatedAppender) Abandon() {
	a.owner.world.dropAppends(a.owner, a.name)
	a.Appender.Abandon()
}

// gatedRecord is the record in memory as one owner sees it.
type gatedRecord struct{ owner *owner }

var _ partition.Records = gatedRecord{}

func (r gatedRecord) Raise(context.Context) (rec talos.PartitionRecord, err error) {
	w := r.owner.world
	err = r.owner.wait(doRaise, "", func() (string, error) {
		if w.assigned != r.owner {
			return "not assigned", &talos.Error{Kind: talos.NotOwner}
		}
		w.record.Epoch++
		rec = w.record
		return rec.String(), nil
	})
	return rec, err
}

func (r gatedRecord) Read(context.Context) (rec talos.PartitionRecord, err error) {
	err = r.owner.wait(doRead, "", func() (string, error) {
		rec = r.owner.world.record
		return rec.String(), nil
	})
	return rec, err
}

func (r gatedRecord) Swap(_ context.Context, old, next talos.PartitionRecord) error {
	w := r.owner.world
	return r.owner.wait(doSwap, next.String(), func() (string, error) {
		if w.record != old {
			return "refused", &talos.Error{Kind: talos.NotOwner}
		}
		w.record = next
		w.commits(next.Tail)
		return "", nil
	})
}
