package coordinator_test

import (
	"context"
	"fmt"
	"testing"

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

func TestKV_WaitReturnsWhenTheKeyChanges(t *testing.T) {
	type state struct {
		kv       handle
		session  coordinator.Session
		revision int64
	}
	changes := map[string]func(*testing.T, state){
		"put": func(t *testing.T, s state) { commit(t, s.kv, nil, coordinator.Put("/a", []byte("same"))) },
		"put of another session": func(t *testing.T, s state) {
			commit(t, s.kv, nil, coordinator.PutBound("/a", []byte("same"), openSession(t, s.kv).ID()))
		},
		"delete":         func(t *testing.T, s state) { commit(t, s.kv, nil, coordinator.Delete("/a")) },
		"session closed": func(t *testing.T, s state) { require.NoError(t, s.session.Close(t.Context())) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, open func() handle) {
				kv, waiter := open(), open()
				s := state{kv: kv, session: openSession(t, kv)}
				s.revision = commit(t, kv, nil, coordinator.PutBound("/a", []byte("same"), s.session.ID()))

				done := make(chan error, 1)
				go func() { done <- waiter.Wait(t.Context(), "/a", s.revision) }()
				commit(t, kv, nil, coordinator.Put("/b", nil)) // is not what it waits for
				select {
				case err := <-done:
					require.Fail(t, "returned without a change", "%v", err)
				default:
				}
				change(t, s)
				require.NoError(t, <-done)
			})
		})
	}
}

func TestKV_WaitReturnsAtOnceIfTheKeyIsAnother(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		revision := commit(t, kv, nil, coordinator.Put("/a", nil))
		require.NoError(t, kv.Wait(t.Context(), "/a", 0))
		require.NoError(t, kv.Wait(t.Context(), "/a", revision+1))
		require.NoError(t, kv.Wait(t.Context(), "/none", revision))
	})
}

func TestKV_AnEndedContextIsTheCallersOwnError(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		ctx, cancel := context.WithCancel(t.Context())
		waited := make(chan error, 1)
		go func() { waited <- kv.Wait(ctx, "/a", 0) }()
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
