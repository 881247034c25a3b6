package coordinator

import (
	"context"
	"errors"
)

// Entry is one key as it is stored.
type Entry struct {
	Key string
	// Value belongs to the caller.
	Value []byte
	// Revision names the transaction that wrote the key last; it grows with every
	// transaction of the whole store. 0 means that there is no such key.
	Revision int64
}

// Update is what a watch tells.
type Update struct {
	// Snapshot tells that Entries are all that there is. What was known before and
	// is not among them is gone.
	Snapshot bool
	// Entries are what was written, or is gone: then with Revision 0. Of each key
	// there is the newest state only.
	Entries []Entry
	// Revision is the transaction up to which everything is told now.
	Revision int64
}

// Cond holds if the key was last written by the transaction Revision; 0: if
// there is no such key. With Prefix, it holds if no key that begins with Key was
// written after the transaction Revision; one that was removed does not count.
type Cond struct {
	Key      string
	Revision int64
	Prefix   bool
}

// OpKind says what an Op does.
type OpKind int

// The operations of a transaction.
const (
	// OpPut writes Key; it is bound to Session from now on, or to none.
	OpPut OpKind = iota + 1
	// OpDelete removes Key; that it does not exist is no error.
	OpDelete
	// OpDeletePrefix removes every key that begins with Key.
	OpDeletePrefix
)

// Op is one change of a transaction. Put, PutBound, Delete and DeletePrefix
// make them.
type Op struct {
	Kind    OpKind
	Key     string
	Value   []byte
	Session SessionID
}

// Put writes a key that outlives its writer.
func Put(key string, value []byte) Op { return Op{Kind: OpPut, Key: key, Value: value} }

// PutBound writes a key that vanishes when the session ends, unless it was
// written again in the meantime.
func PutBound(key string, value []byte, session SessionID) Op {
	return Op{Kind: OpPut, Key: key, Value: value, Session: session}
}

// Delete removes a key if it is there.
func Delete(key string) Op { return Op{Kind: OpDelete, Key: key} }

// DeletePrefix removes every key that begins with prefix.
func DeletePrefix(prefix string) Op { return Op{Kind: OpDeletePrefix, Key: prefix} }

// MaxOps is the most keys of one Load, and the most conditions or operations of
// one Commit.
const MaxOps = 128

// KV is a linearizable, ordered key-value store with transactions: all that the
// logic of this package needs. Every call may run at the same time as others.
// Errors are *talos.Error: MetaUnavailable if the store can't be used, Canceled
// or Timeout if the caller's context ended.
type KV interface {
	// Load returns the entries of the keys in their order, all as of one moment.
	Load(ctx context.Context, keys ...string) ([]Entry, error)
	// List returns the entries whose keys begin with prefix, sorted by key, all as
	// of one moment.
	List(ctx context.Context, prefix string) ([]Entry, error)
	// Commit applies all ops in one step if all conds hold, and returns the
	// revision that they have; 0 if a condition did not hold. No op may write a key
	// that another op of the same call writes or deletes. After ErrSessionEnded
	// nothing was applied; after any other error the outcome is unknown, and the
	// driver has not tried again.
	Commit(ctx context.Context, conds []Cond, ops []Op) (revision int64, err error)
	// Watch calls take with all entries whose keys begin with prefix, as of one
	// moment, and then with what changes, in the order of the transactions, until
	// ctx ends or the store can't be used; then it returns why, and has to be called
	// anew. It calls take one at a time, and skips no last state of a key.
	Watch(ctx context.Context, prefix string, take func(Update)) error
	// OpenSession starts a session and keeps it alive until Close.
	OpenSession(ctx context.Context) (Session, error)
}

// SessionID names a session within a store; 0 is none.
type SessionID int64

// Session is what keys are bound to: they vanish when it ends, because it was
// closed, or because its process was not heard of for its time to live.
type Session interface {
	ID() SessionID
	// Done is closed when the session ended, or may have: never later than the
	// store ends it as long as the clock runs.
	Done() <-chan struct{}
	// Close ends the session and its keys, and returns when nothing of it runs any
	// more. After an error the store ends the session when its time to live is over.
	Close(ctx context.Context) error
}

// ErrSessionEnded is returned by Commit for an operation that is bound to a
// session which does not live any more. Nothing was applied.
var ErrSessionEnded = errors.New("the session has ended")
