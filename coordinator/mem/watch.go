package mem

import (
	"context"
	"sort"
	"strings"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/talos"
)

// watcher is one call of Watch. The store's mu guards pending.
type watcher struct {
	prefix string
	// pending are the keys that have changed since take was called last.
	pending map[string]struct{}
	// wake has room for one signal.
	wake chan struct{}
}

// Watch implements coordinator.KV.
func (kv *KV) Watch(ctx context.Context, prefix string, take func(coordinator.Update)) error {
	const op = "mem.Watch"
	if err := check(ctx, op, 0); err != nil {
		return err
	}
	s := kv.store
	w := &watcher{prefix: prefix, pending: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	update := s.join(w)
	defer s.leave(w)
	for {
		take(update)
		select {
		case <-w.wake:
			update = s.changes(w)
		case <-ctx.Done():
			return &talos.Error{Kind: talos.KindOf(ctx.Err()), Op: op, Cause: ctx.Err()}
		}
	}
}

// join adds a watcher, and returns what it begins with.
func (s *store) join(w *watcher) coordinator.Update {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[w] = struct{}{}
	first := coordinator.Update{Snapshot: true, Revision: s.revision}
	for key := range s.entries {
		if strings.HasPrefix(key, w.prefix) {
			first.Entries = append(first.Entries, s.loadLocked(key))
		}
	}
	return sorted(first)
}

func (s *store) leave(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, w)
}

// changes returns what has changed since the last call.
func (s *store) changes(w *watcher) coordinator.Update {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := coordinator.Update{Revision: s.revision}
	for key := range w.pending {
		next.Entries = append(next.Entries, s.loadLocked(key))
	}
	w.pending = map[string]struct{}{}
	return sorted(next)
}

func sorted(u coordinator.Update) coordinator.Update {
	sort.Slice(u.Entries, func(i, j int) bool { return u.Entries[i].Key < u.Entries[j].Key })
	return u
}

// tellLocked notes that a key has changed.
func (s *store) tellLocked(key string) {
	for w := range s.watchers {
		if !strings.HasPrefix(key, w.prefix) {
			continue
		}
		w.pending[key] = struct{}{}
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}
