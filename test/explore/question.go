package explore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// verb is what a call does.
type verb string

const (
	doCreate  verb = "create"
	doRecover verb = "recover"
	doOpen    verb = "open"
	doList    verb = "list"
	doAppend  verb = "append"
	doRemove  verb = "remove"
	doRaise   verb = "raise"
	doRead    verb = "read"
	doSwap    verb = "swap"
	// askNext is not a call of the owner's: its client asks for the next thing. It
	// is a question so that it does not race with what the owner does by itself.
	askNext verb = "ask for the next thing"
)

// changes tells whether a call may take effect though its caller sees an error.
func (v verb) changes() bool { return v == doCreate || v == doAppend || v == doRaise || v == doSwap }

// canBeLate tells whether it may take effect after its caller saw the error. A
// raise is a transaction that was either sent in time or not at all: its owner
// ends anyway, so being late adds nothing to being ambiguous and crashing.
func (v verb) canBeLate() bool { return v == doCreate || v == doAppend || v == doSwap }

var errFault = errors.New("explore: injected fault")

// question is one call of an owner's that waits for its answer. Equal questions
// are one value (see lives.one), also those of different owners.
type question struct {
	id   uint32
	verb verb
	// segment is the segment's name; of an append, nth counts the segment's appends
	// from 1.
	segment string
	nth     int
	// bytes is what create and append write.
	bytes string
	// old and next are the records of a swap.
	old, next talos.PartitionRecord
	// atOnce marks what is answered in the step that led to it: reading, which
	// changes nothing and sees what was recovered, and the client's first wish.
	atOnce bool
}

func (q *question) String() string {
	switch q.verb {
	case doAppend:
		return fmt.Sprintf("append %s #%d", q.segment, q.nth)
	case doSwap:
		return "swap " + q.next.String()
	default:
		return strings.TrimSpace(string(q.verb) + " " + q.segment)
	}
}

// reason is why a call fails, in a form that can be compared.
type reason uint8

const (
	noReason reason = iota
	faulty
	exists
	notFound
	dead
	notOwner
)

func (r reason) err() error {
	switch r {
	case noReason:
		return nil
	case exists:
		return storage.ErrExists
	case notFound:
		return storage.ErrNotFound
	case dead:
		return storage.ErrDead
	case notOwner:
		return &talos.Error{Kind: talos.NotOwner}
	default:
		return errFault
	}
}

// told is what happens to an owner: a minute passes, or one of its questions is
// answered. Of the fields below, each verb has its own; all can be compared, so
// that a told is the key of what comes after it.
type told struct {
	question *question // nil: a minute passes
	failed   reason
	record   talos.PartitionRecord
	size     int64
	content  *content
	listing  *listing
	sequence int32
}

// listing is what a list finds; equal ones are one value.
type listing struct{ segments []storage.Info }

// content is a segment's bytes; equal ones are one value, so the address names
// them. It is made by adding to another one.
type content struct {
	id    uint32
	bytes string
	after map[string]*content
}
