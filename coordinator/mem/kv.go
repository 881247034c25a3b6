// Package mem is a coordinator.KV in the memory of one process: for tests, and
// for a node that keeps nothing.
//
// It holds no goroutine and no timer: a session ends when somebody ends it.
package mem

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/talos"
)

// KV is one client of a store. New makes a store with its first client, Handle
// makes further ones. All methods may be called at the same time.
type KV struct{ store *store }

// store is what the handles share.
type store struct {
	mu       sync.Mutex // guards the fields below
	revision int64
	entries  map[string]entry
	sessions map[coordinator.SessionID]*session
	lastID   coordinator.SessionID
	watchers map[*watcher]struct{}
}

type entry struct {
	value    []byte
	revision int64
	session  coordinator.SessionID
}

// session belongs to the handle that opened it.
type session struct {
	kv   *KV
	id   coordinator.SessionID
	done chan struct{}
}

// New returns the first client of an empty store.
func New() *KV {
	return &KV{store: &store{
		entries:  map[string]entry{},
		sessions: map[coordinator.SessionID]*session{},
		watchers: map[*watcher]struct{}{},
	}}
}

// Handle returns another client of the same store, with sessions of its own.
func (kv *KV) Handle() *KV { return &KV{store: kv.store} }

// EndSessions ends the sessions that were opened through this handle, as if
// their time to live were over.
func (kv *KV) EndSessions() {
	s := kv.store
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.sessions {
		if one.kv == kv {
			s.endLocked(one)
		}
	}
}

// Load implements coordinator.KV.
func (kv *KV) Load(ctx context.Context, keys ...string) ([]coordinator.Entry, error) {
	if err := check(ctx, "mem.Load", len(keys)); err != nil {
		return nil, err
	}
	s := kv.store
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := make([]coordinator.Entry, 0, len(keys))
	for _, key := range keys {
		entries = append(entries, s.loadLocked(key))
	}
	return entries, nil
}

// List implements coordinator.KV.
func (kv *KV) List(ctx context.Context, prefix string) ([]coordinator.Entry, error) {
	if err := check(ctx, "mem.List", 0); err != nil {
		return nil, err
	}
	s := kv.store
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []coordinator.Entry
	for key := range s.entries {
		if strings.HasPrefix(key, prefix) {
			entries = append(entries, s.loadLocked(key))
		}
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Key < entries[j].Key })
	return entries, nil
}

// Commit implements coordinator.KV. Its outcome is never unknown.
func (kv *KV) Commit(ctx context.Context, conds []coordinator.Cond, ops []coordinator.Op) (int64, error) {
	const op = "mem.Commit"
	if err := check(ctx, op, max(len(conds), len(ops))); err != nil {
		return 0, err
	}
	if err := checkOps(ops); err != nil {
		return 0, &talos.Error{Kind: talos.Internal, Op: op, Cause: err}
	}
	s := kv.store
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range conds {
		if !s.holdsLocked(c) {
			return 0, nil
		}
	}
	for _, o := range ops {
		if o.Session != 0 && s.sessions[o.Session] == nil {
			return 0, fmt.Errorf("%s: %w", op, coordinator.ErrSessionEnded)
		}
	}
	s.revision++
	for _, o := range ops {
		s.applyLocked(o)
	}
	return s.revision, nil
}

// OpenSession implements coordinator.KV.
func (kv *KV) OpenSession(ctx context.Context) (coordinator.Session, error) {
	if err := check(ctx, "mem.OpenSession", 0); err != nil {
		return nil, err
	}
	s := kv.store
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	one := &session{kv: kv, id: s.lastID, done: make(chan struct{})}
	s.sessions[one.id] = one
	return one, nil
}

// ID implements coordinator.Session.
func (one *session) ID() coordinator.SessionID { return one.id }

// Done implements coordinator.Session.
func (one *session) Done() <-chan struct{} { return one.done }

// Close implements coordinator.Session.
func (one *session) Close(context.Context) error {
	s := one.kv.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[one.id] != nil {
		s.endLocked(one)
	}
	return nil
}

func (s *store) loadLocked(key string) coordinator.Entry {
	e := s.entries[key]
	return coordinator.Entry{Key: key, Value: append([]byte(nil), e.value...), Revision: e.revision}
}

func (s *store) holdsLocked(c coordinator.Cond) bool {
	if !c.Prefix {
		return s.entries[c.Key].revision == c.Revision
	}
	for key, e := range s.entries {
		if strings.HasPrefix(key, c.Key) && e.revision > c.Revision {
			return false
		}
	}
	return true
}

func (s *store) applyLocked(o coordinator.Op) {
	switch o.Kind {
	case coordinator.OpPut:
		s.entries[o.Key] = entry{value: append([]byte(nil), o.Value...), revision: s.revision, session: o.Session}
		s.tellLocked(o.Key)
	case coordinator.OpDelete:
		s.deleteLocked(o.Key)
	case coordinator.OpDeletePrefix:
		for key := range s.entries {
			if strings.HasPrefix(key, o.Key) {
				s.deleteLocked(key)
			}
		}
	}
}

func (s *store) deleteLocked(key string) {
	if _, ok := s.entries[key]; ok {
		delete(s.entries, key)
		s.tellLocked(key)
	}
}

// endLocked removes a live session and the keys that are still bound to it.
func (s *store) endLocked(one *session) {
	delete(s.sessions, one.id)
	s.revision++
	for key, e := range s.entries {
		if e.session == one.id {
			s.deleteLocked(key)
		}
	}
	close(one.done)
}

// check refuses what etcd would: an ended context, too much at once.
func check(ctx context.Context, op string, n int) error {
	if err := ctx.Err(); err != nil {
		return &talos.Error{Kind: talos.KindOf(err), Op: op, Cause: err}
	}
	if n > coordinator.MaxOps {
		return &talos.Error{Kind: talos.Internal, Op: op, Detail: fmt.Sprintf("%d at once, the limit is %d", n, coordinator.MaxOps)}
	}
	return nil
}

// checkOps refuses a put of a key that another operation touches, as etcd does.
func checkOps(ops []coordinator.Op) error {
	for i, put := range ops {
		if put.Kind != coordinator.OpPut {
			continue
		}
		for j, other := range ops {
			same := other.Key == put.Key
			if other.Kind == coordinator.OpDeletePrefix {
				same = strings.HasPrefix(put.Key, other.Key)
			}
			if i != j && same {
				return fmt.Errorf("two operations of one transaction touch %s", put.Key)
			}
		}
	}
	return nil
}
