package coordinator_test

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/talos"
)

// The conformance suite of the drivers.

func TestKV_LoadAnswersEachKeyInOrder(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		revision := commit(t, kv, nil, coordinator.Put("/b", []byte("2")), coordinator.Put("/a", []byte("1")))

		entries, err := kv.Load(t.Context(), "/b", "/none", "/a")
		require.NoError(t, err)
		require.Empty(t, cmp.Diff([]coordinator.Entry{
			{Key: "/b", Value: []byte("2"), Revision: revision},
			{Key: "/none"},
			{Key: "/a", Value: []byte("1"), Revision: revision},
		}, entries))
	})
}

func TestKV_ListIsSortedAndEndsWithThePrefix(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		for _, key := range []string{"/t/b", "/t/a", "/t", "/u/a", "/t/a/x", "/s/z"} {
			commit(t, kv, nil, coordinator.Put(key, []byte(key)))
		}
		require.Equal(t, []string{"/t/a", "/t/a/x", "/t/b"}, list(t, kv, "/t/"))
		require.Empty(t, list(t, kv, "/none/"))
	})
}

func TestKV_CommitAppliesAllOrNothing(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		first := commit(t, kv, nil, coordinator.Put("/a", []byte("1")))
		second := commit(t, kv, nil, coordinator.Put("/b", []byte("1")))
		require.Greater(t, second, first, "revisions grow over the whole store")

		for name, conds := range map[string][]coordinator.Cond{
			"another revision":           {{Key: "/a", Revision: second}},
			"there, but wanted absent":   {{Key: "/a"}},
			"absent, but wanted":         {{Key: "/none", Revision: first}},
			"one of two does not hold":   {{Key: "/a", Revision: first}, {Key: "/b", Revision: first}},
			"revision of before a write": {{Key: "/b", Revision: 1 << 40}},
		} {
			revision, err := kv.Commit(t.Context(), conds,
				[]coordinator.Op{coordinator.Put("/c", nil), coordinator.Delete("/a")})
			require.NoError(t, err, name)
			require.Zero(t, revision, name)
			require.Equal(t, []string{"/a", "/b"}, list(t, kv, "/"), name)
		}

		third := commit(t, kv, []coordinator.Cond{{Key: "/a", Revision: first}, {Key: "/c"}},
			coordinator.Put("/c", nil), coordinator.Delete("/a"), coordinator.Delete("/none"))
		require.Greater(t, third, second)
		require.Equal(t, []string{"/b", "/c"}, list(t, kv, "/"))
	})
}

func TestKV_ACommitMayRestOnAllThatBeginsWithAPrefix(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		none := []coordinator.Cond{{Key: "/t/", Prefix: true}}
		first := commit(t, kv, none, coordinator.Put("/t/a", nil))
		revision, err := kv.Commit(t.Context(), none, []coordinator.Op{coordinator.Put("/t/b", nil)})
		require.NoError(t, err)
		require.Zero(t, revision, "there is one now")

		commit(t, kv, nil, coordinator.Put("/u", nil))
		rests := []coordinator.Cond{{Key: "/t/", Revision: first, Prefix: true}}
		commit(t, kv, rests, coordinator.Put("/s", nil))
		commit(t, kv, nil, coordinator.Delete("/t/a"))
		second := commit(t, kv, rests, coordinator.Put("/t/b", nil))
		revision, err = kv.Commit(t.Context(), rests, []coordinator.Op{coordinator.Put("/s", nil)})
		require.NoError(t, err)
		require.Zero(t, revision)
		rests[0].Revision = second
		commit(t, kv, rests, coordinator.Put("/t/b", nil))
	})
}

func TestKV_AKeyThatWasDeletedIsAbsentAgain(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		first := commit(t, kv, nil, coordinator.Put("/a", []byte("1")))
		commit(t, kv, nil, coordinator.Delete("/a"))
		second := commit(t, kv, []coordinator.Cond{{Key: "/a"}}, coordinator.Put("/a", []byte("1")))
		require.Greater(t, second, first, "so the same value is told apart")
	})
}

func TestKV_DeletePrefixTakesNothingElse(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		for _, key := range []string{"/r/1/0", "/r/1/1", "/r/10/0", "/r/1"} {
			commit(t, kv, nil, coordinator.Put(key, nil))
		}
		commit(t, kv, nil, coordinator.DeletePrefix("/r/1/"), coordinator.Put("/gone/1", nil))
		require.Equal(t, []string{"/gone/1", "/r/1", "/r/10/0"}, list(t, kv, "/"))
	})
}

func TestKV_TwoOperationsOnOneKeyAreRefused(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		for name, ops := range map[string][]coordinator.Op{
			"put twice":          {coordinator.Put("/a", nil), coordinator.Put("/a", nil)},
			"put and delete":     {coordinator.Delete("/a"), coordinator.Put("/a", nil)},
			"put under a prefix": {coordinator.DeletePrefix("/"), coordinator.Put("/a", nil)},
		} {
			_, err := kv.Commit(t.Context(), nil, ops)
			require.Error(t, err, name)
			require.Empty(t, list(t, kv, "/"), name)
		}
	})
}

func TestKV_MoreThanMaxOpsIsRefused(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		keys := make([]string, coordinator.MaxOps+1)
		ops := make([]coordinator.Op, len(keys))
		for i := range keys {
			keys[i] = fmt.Sprintf("/k/%03d", i)
			ops[i] = coordinator.Put(keys[i], nil)
		}
		_, err := kv.Commit(t.Context(), nil, ops)
		require.Error(t, err)
		_, err = kv.Load(t.Context(), keys...)
		require.Error(t, err)

		commit(t, kv, nil, ops[1:]...)
		entries, err := kv.Load(t.Context(), keys[1:]...)
		require.NoError(t, err)
		require.Len(t, entries, coordinator.MaxOps)
	})
}

func TestKV_ValuesAreCopies(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		value := []byte("abc")
		commit(t, kv, nil, coordinator.Put("/a", value))
		value[0] = 'x'
		for range 2 {
			entries, err := kv.Load(t.Context(), "/a")
			require.NoError(t, err)
			require.Equal(t, "abc", string(entries[0].Value))
			entries[0].Value[0] = 'y'
		}
	})
}

func TestKV_BoundKeysEndWithTheirSession(t *testing.T) {
	ends := map[string]func(*testing.T, handle, coordinator.Session){
		"closed": func(t *testing.T, _ handle, s coordinator.Session) { require.NoError(t, s.Close(t.Context())) },
		"over":   func(_ *testing.T, kv handle, _ coordinator.Session) { kv.endSessions() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, open func() handle) {
				kv, other := open(), open()
				session := openSession(t, kv)
				commit(t, kv, nil,
					coordinator.PutBound("/bound", nil, session.ID()),
					coordinator.PutBound("/rewritten", nil, session.ID()),
					coordinator.Put("/free", nil))
				// Who writes a key anew unbinds it.
				commit(t, other, nil, coordinator.Put("/rewritten", nil))

				end(t, kv, session)
				require.Equal(t, []string{"/free", "/rewritten"}, list(t, other, "/"))

				_, err := kv.Commit(t.Context(), nil, []coordinator.Op{
					coordinator.Put("/one", nil),
					coordinator.PutBound("/two", nil, session.ID()),
				})
				require.ErrorIs(t, err, coordinator.ErrSessionEnded)
				require.Equal(t, []string{"/free", "/rewritten"}, list(t, other, "/"), "nothing was applied")
			})
		})
	}
}

func TestKV_CloseOfASessionIsRepeatable(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		session := openSession(t, open())
		require.True(t, isOpen(session.Done()))
		require.NoError(t, session.Close(t.Context()))
		awaitClosed(t, session.Done(), "Done is closed")
		require.NoError(t, session.Close(t.Context()))
	})
}

// told is what a watch tells, gathered.
type told struct {
	mu        sync.Mutex // guards the fields below
	now       map[string]string
	revision  int64
	snapshots int
	unordered bool
}

func (w *told) take(u coordinator.Update) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u.Snapshot {
		w.now = map[string]string{}
		w.snapshots++
	}
	w.unordered = w.unordered || u.Revision < w.revision
	w.revision = u.Revision
	for _, e := range u.Entries {
		if delete(w.now, e.Key); e.Revision != 0 {
			w.now[e.Key] = string(e.Value)
		}
	}
}

func (w *told) is(want map[string]string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Equal(want, w.now) && !w.unordered
}

// watch watches until the test ends.
func watch(t *testing.T, kv coordinator.KV, prefix string) *told {
	t.Helper()
	w := &told{}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- kv.Watch(ctx, prefix, w.take) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, talos.Canceled)
	})
	return w
}

func (w *told) await(t *testing.T, want map[string]string) {
	t.Helper()
	require.Eventually(t, func() bool { return w.is(want) }, patience, time.Millisecond)
}

func TestKV_WatchTellsAllAndThenEachChange(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv, watcher := open(), open()
		session := openSession(t, kv)
		commit(t, kv, nil, coordinator.Put("/w/a", []byte("1")), coordinator.PutBound("/w/b", []byte("1"), session.ID()), coordinator.Put("/x", nil))
		w := watch(t, watcher, "/w/")
		w.await(t, map[string]string{"/w/a": "1", "/w/b": "1"})
		commit(t, kv, nil, coordinator.Put("/w/a", []byte("2")), coordinator.Put("/w/c", []byte("1")))
		w.await(t, map[string]string{"/w/a": "2", "/w/b": "1", "/w/c": "1"})
		require.NoError(t, session.Close(t.Context()))
		w.await(t, map[string]string{"/w/a": "2", "/w/c": "1"})
		commit(t, kv, nil, coordinator.Delete("/w/a"), coordinator.Delete("/w/none"), coordinator.Put("/y", nil))
		w.await(t, map[string]string{"/w/c": "1"})
		last := commit(t, kv, nil, coordinator.DeletePrefix("/w/"), coordinator.Put("/z", nil))
		w.await(t, map[string]string{})
		w.mu.Lock()
		defer w.mu.Unlock()
		require.Equal(t, 1, w.snapshots)
		require.Equal(t, last, w.revision)
	})
}

func TestKV_WatchMissesNothingUnderManyWriters(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		const writers, writes = 4, 50
		kv := open()
		w := watch(t, open(), "/w/")
		want := map[string]string{}
		var wg sync.WaitGroup
		for i := range writers {
			want[fmt.Sprintf("/w/%d", i)] = strconv.Itoa(writes - 1)
			wg.Go(func() {
				for n := range writes {
					op := coordinator.Put(fmt.Sprintf("/w/%d", i), []byte(strconv.Itoa(n)))
					if revision, err := kv.Commit(t.Context(), nil, []coordinator.Op{op}); err != nil || revision == 0 {
						t.Errorf("commit: %v", err)
					}
				}
			})
		}
		wg.Wait()
		w.await(t, want)
	})
}

func TestKV_AnEndedContextIsTheCallersOwnError(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		ctx, cancel := context.WithCancel(t.Context())
		waited := make(chan error, 1)
		go func() { waited <- kv.Watch(ctx, "/a", func(coordinator.Update) {}) }()
		cancel()
		require.ErrorIs(t, <-waited, talos.Canceled)

		_, err := kv.Load(ctx, "/a")
		require.ErrorIs(t, err, talos.Canceled)
		_, err = kv.List(ctx, "/")
		require.ErrorIs(t, err, talos.Canceled)
		_, err = kv.Commit(ctx, nil, []coordinator.Op{coordinator.Put("/a", nil)})
		require.ErrorIs(t, err, talos.Canceled)
		_, err = kv.OpenSession(ctx)
		require.ErrorIs(t, err, talos.Canceled)
	})
}

func commit(t *testing.T, kv coordinator.KV, conds []coordinator.Cond, ops ...coordinator.Op) int64 {
	t.Helper()
	revision, err := kv.Commit(t.Context(), conds, ops)
	require.NoError(t, err)
	require.NotZero(t, revision, "a condition did not hold")
	return revision
}

func list(t *testing.T, kv coordinator.KV, prefix string) []string {
	t.Helper()
	entries, err := kv.List(t.Context(), prefix)
	require.NoError(t, err)
	keys := make([]string, 0, len(entries))
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys
}

func openSession(t *testing.T, kv coordinator.KV) coordinator.Session {
	t.Helper()
	session, err := kv.OpenSession(t.Context())
	require.NoError(t, err)
	return session
}
