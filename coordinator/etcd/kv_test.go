package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/embedded"
	"github.com/talos-log/talos/talos"
)

// The behavior that the drivers share is tested in package coordinator; these
// are the tests of leases and of trouble with etcd.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	shortTTL = 2 * time.Second
	patience = 30 * time.Second
	tick     = 20 * time.Millisecond
)

func startEtcd(t *testing.T) *embedded.Server {
	t.Helper()
	server, err := embedded.Start(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return server
}

func openKV(t *testing.T, endpoint string, now func() time.Duration) *KV {
	t.Helper()
	kv, err := open(Config{Endpoints: []string{endpoint}, SessionTTL: shortTTL}, now)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, kv.Close()) })
	return kv
}

func openSession(t *testing.T, kv *KV) coordinator.Session {
	t.Helper()
	session, err := kv.OpenSession(t.Context())
	require.NoError(t, err)
	return session
}

func awaitDone(t *testing.T, session coordinator.Session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-session.Done():
	case <-ctx.Done():
		require.Fail(t, "the session did not end")
	}
}

func put(t *testing.T, kv *KV, op coordinator.Op) {
	t.Helper()
	revision, err := kv.Commit(t.Context(), nil, []coordinator.Op{op})
	require.NoError(t, err)
	require.NotZero(t, revision)
}

func TestOpen_RefusesATooShortTTL(t *testing.T) {
	_, err := Open(Config{Endpoints: []string{"localhost:1"}, SessionTTL: time.Millisecond})
	require.ErrorIs(t, err, talos.InvalidConfig)
}

func TestOpen_RefusesNoEndpoints(t *testing.T) {
	_, err := Open(Config{})
	require.ErrorIs(t, err, talos.InvalidConfig)
}

func TestSession_IsKeptAlive(t *testing.T) {
	kv := openKV(t, startEtcd(t).Endpoint(), bootTime)
	kv.ttl = 2 * shortTTL // etcd tells whole seconds, rounded down
	session := openSession(t, kv)
	remaining := func() int64 {
		resp, err := kv.client.TimeToLive(t.Context(), clientv3.LeaseID(session.ID()))
		require.NoError(t, err)
		return resp.TTL
	}
	for range 2 { // renewals, as they are seen from outside
		require.Eventually(t, func() bool { return remaining() <= 2 }, patience, tick)
		require.Eventually(t, func() bool { return remaining() >= 3 }, patience, tick)
	}
	select {
	case <-session.Done():
		require.Fail(t, "Done is closed though the lease lives")
	default:
	}
}

func TestSession_EndsWhenItsLeaseIsGone(t *testing.T) {
	kv := openKV(t, startEtcd(t).Endpoint(), bootTime)
	session := openSession(t, kv)
	_, err := kv.client.Revoke(t.Context(), clientv3.LeaseID(session.ID()))
	require.NoError(t, err)
	awaitDone(t, session)
	require.NoError(t, session.Close(t.Context()))
}

// etcd cannot say that the lease is over if it can't be reached.
func TestSession_EndsByItselfWhenEtcdIsAway(t *testing.T) {
	server, err := embedded.Start(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	kv := openKV(t, server.Endpoint(), bootTime)
	session := openSession(t, kv)
	require.NoError(t, server.Close())
	awaitDone(t, session)
}

// The machine sleeps longer than the time to live. Go's timers don't notice,
// and etcd would still renew the lease: but in between it had ended for others.
func TestSession_EndsAfterASuspend(t *testing.T) {
	var slept atomic.Int64
	kv := openKV(t, startEtcd(t).Endpoint(), func() time.Duration { return bootTime() + time.Duration(slept.Load()) })
	session := openSession(t, kv)
	slept.Store(int64(time.Hour))
	awaitDone(t, session)
}

func TestKV_CloseLeavesTheSessionToItsTimeToLive(t *testing.T) {
	server := startEtcd(t)
	kv, other := openKV(t, server.Endpoint(), bootTime), openKV(t, server.Endpoint(), bootTime)
	session := openSession(t, kv)
	put(t, kv, coordinator.PutBound("/a", nil, session.ID()))
	require.NoError(t, kv.Close())
	awaitDone(t, session)

	entries, err := other.Load(t.Context(), "/a")
	require.NoError(t, err)
	require.NotZero(t, entries[0].Revision, "it was not revoked")
	awaitGone(t, other, "/a")
}

func TestKV_AnUnreachableEtcdIsMetaUnavailable(t *testing.T) {
	kv := openKV(t, "127.0.0.1:1", bootTime)
	calls := map[string]func() error{
		"Load": func() error { _, err := kv.Load(t.Context(), "/a"); return err },
		"List": func() error { _, err := kv.List(t.Context(), "/a"); return err },
		"Commit": func() error {
			_, err := kv.Commit(t.Context(), nil, []coordinator.Op{coordinator.Put("/a", nil)})
			return err
		},
		"Watch":       func() error { return kv.Watch(t.Context(), "/a", func(coordinator.Update) {}) },
		"OpenSession": func() error { _, err := kv.OpenSession(t.Context()); return err },
	}
	errs := make(chan error, len(calls))
	for name, call := range calls {
		go func() { errs <- unavailable(name, call()) }()
	}
	for range calls {
		require.NoError(t, <-errs)
	}
}

// unavailable returns what is wrong with the error of the call so named.
func unavailable(name string, err error) error {
	var e *talos.Error
	if !errors.As(err, &e) || e.Kind != talos.MetaUnavailable || e.Op != "etcd."+name || e.Cause == nil {
		return fmt.Errorf("%s returned: %w", name, err)
	}
	return nil
}

// awaitGone watches until there is no key with this prefix.
func awaitGone(t *testing.T, kv *KV, prefix string) {
	t.Helper()
	keys := make(map[string]bool)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	gone := false
	err := kv.Watch(ctx, prefix, func(u coordinator.Update) {
		if u.Snapshot {
			clear(keys)
		}
		for _, e := range u.Entries {
			if delete(keys, e.Key); e.Revision != 0 {
				keys[e.Key] = true
			}
		}
		if len(keys) == 0 {
			gone = true
			cancel()
		}
	})
	require.ErrorIs(t, err, talos.Canceled)
	require.True(t, gone)
}

// etcd is away while history is compacted: the watch can't go on where it was, and
// begins anew.
func TestKV_WatchSurvivesAnOutageAndCompaction(t *testing.T) {
	dir := t.TempDir()
	server, err := embedded.Start(t.Context(), dir, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	proxy := startProxy(t, server.Endpoint())
	kv, other := openKV(t, proxy.address(), bootTime), openKV(t, server.Endpoint(), bootTime)
	defer func() { require.NoError(t, server.Close()) }()
	put(t, other, coordinator.Put("/w/a", []byte("1")))

	updates := make(chan coordinator.Update, 100)
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- kv.Watch(ctx, "/w/", func(u coordinator.Update) { updates <- u }) }()
	require.True(t, (<-updates).Snapshot)
	proxy.cut(true)
	for range 5 {
		put(t, other, coordinator.Put("/w/a", []byte("2")))
	}
	put(t, other, coordinator.Delete("/w/a"))
	put(t, other, coordinator.Put("/w/b", nil))
	latest, err := other.Load(t.Context(), "/w/b")
	require.NoError(t, err)
	_, err = other.client.Compact(t.Context(), latest[0].Revision)
	require.NoError(t, err)
	proxy.cut(false)

	again := <-updates
	require.True(t, again.Snapshot)
	require.Len(t, again.Entries, 1)
	require.Equal(t, "/w/b", again.Entries[0].Key)
	cancel()
	require.ErrorIs(t, <-ended, talos.Canceled)
}

// Clusters with prefixes of their own share an etcd without seeing each other.
func TestKV_PrefixesKeepClustersApart(t *testing.T) {
	server := startEtcd(t)
	prefixed := func(prefix string) *KV {
		kv, err := open(Config{Endpoints: []string{server.Endpoint()}, SessionTTL: shortTTL, Prefix: prefix}, bootTime)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, kv.Close()) })
		return kv
	}
	a, b, bare := prefixed("/a"), prefixed("/b"), prefixed("")
	session := openSession(t, a)
	put(t, a, coordinator.PutBound("/key", []byte("of a"), session.ID()))
	found, err := b.List(t.Context(), "/")
	require.NoError(t, err)
	require.Empty(t, found)
	found, err = a.List(t.Context(), "/")
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "/key", found[0].Key)
	loaded, err := bare.Load(t.Context(), "/a/key", "/key")
	require.NoError(t, err)
	require.Equal(t, "of a", string(loaded[0].Value))
	require.Zero(t, loaded[1].Revision)

	revision, err := b.Commit(t.Context(), []coordinator.Cond{{Key: "/key"}}, []coordinator.Op{coordinator.Put("/key", nil)})
	require.NoError(t, err)
	require.NotZero(t, revision, "b has no such key yet")
	require.NoError(t, session.Close(t.Context()))
	awaitGone(t, a, "/key")
}
