package coordinator_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/talos"
)

func TestOpen_AllNodesSeeOneCluster(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		const nodes = 8
		clusters := make([]coordinator.Cluster, nodes)
		var wg sync.WaitGroup
		for i := range nodes {
			kv := open()
			wg.Go(func() {
				m, err := coordinator.Open(t.Context(), kv, nodeNamed("n"), quiet())
				if err == nil {
					clusters[i] = m.Cluster()
					m.Close()
				}
			})
		}
		wg.Wait()
		for _, c := range clusters {
			require.Equal(t, clusters[0], c)
		}
		require.Len(t, clusters[0].ID, 36)
		require.GreaterOrEqual(t, clusters[0].ProducerBits, uint16(1))
		require.LessOrEqual(t, clusters[0].ProducerBits, uint16(1<<15-1))
	})
}

func TestOpen_RefusesANodeWithoutIDOrAddress(t *testing.T) {
	for _, node := range []coordinator.Node{{}, {ID: "n"}, {Address: "localhost:7070"}} {
		_, err := coordinator.Open(t.Context(), mem.New(), node, quiet())
		require.ErrorIs(t, err, talos.InvalidConfig)
	}
}

func TestClaim_OneOfTwoNodesWins(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		won := make(chan *coordinator.Meta, 2)
		for _, id := range []string{"a", "b"} {
			m := openMeta(t, open(), id)
			go func() {
				if m.Claim(t.Context()) == nil {
					won <- m
				}
			}()
		}
		first := <-won
		active, found, err := first.Active(t.Context())
		require.NoError(t, err)
		require.True(t, found)
		require.True(t, isOpen(first.Lost()))

		// The other one has not won yet, and wins when the first one goes.
		select {
		case <-won:
			require.Fail(t, "two nodes are active")
		default:
		}
		first.Close()
		awaitClosed(t, first.Lost(), "the first node's claim ends with Close")
		second := <-won
		now, found, err := second.Active(t.Context())
		require.NoError(t, err)
		require.True(t, found)
		require.NotEqual(t, active, now)
	})
}

// The old run's session lives on for an hour, so a claim that waited for it
// would never be done.
func TestClaim_TheSameNodeTakesOverAtOnceAfterACrash(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		before := claimed(t, kv, "a")
		id := createTopic(t, before, "logs")
		_, err := before.Record(id).Raise(t.Context())
		require.NoError(t, err)
		kv.crash()

		after := claimed(t, open(), "a")
		record, err := after.Record(id).Raise(t.Context())
		require.NoError(t, err)
		require.Equal(t, talos.Epoch(2), record.Epoch)
	})
}

func TestClaim_TheEarlierRunLosesWhenTheSameNodeTakesOver(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		before := claimed(t, open(), "a")
		id := createTopic(t, before, "logs")
		after := claimed(t, open(), "a")

		// Both have the same id, so only the transaction can tell them apart.
		_, err := before.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.NotOwner)
		awaitClosed(t, before.Lost(), "the earlier run learns of it")
		require.True(t, isOpen(after.Lost()))

		// The end of the earlier run's session does not take the key along.
		before.Close()
		_, err = after.Record(id).Raise(t.Context())
		require.NoError(t, err)
	})
}

func TestClaim_LostWithTheSessionAndClaimedAgain(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		m := claimed(t, kv, "a")
		id := createTopic(t, m, "logs")
		lost := m.Lost()

		kv.endSessions()
		awaitClosed(t, lost, "Lost is closed when the session ends")
		_, err := m.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.NotOwner)

		require.NoError(t, m.Claim(t.Context()))
		require.True(t, isOpen(m.Lost()))
		record, err := m.Record(id).Raise(t.Context())
		require.NoError(t, err)
		require.Equal(t, talos.Epoch(1), record.Epoch)
	})
}

// A node that is cut off from etcd does not hear that its key is gone: its own
// session must tell it.
func TestClaim_LostWithTheSessionAlsoIfTheKeyIsNotSeenToGo(t *testing.T) {
	kv := mem.New()
	m := claimed(t, deaf{KV: kv}, "a")
	kv.EndSessions()
	awaitClosed(t, m.Lost(), "Lost is closed when the session ends")
}

// deaf is a KV that never hears of a change.
type deaf struct{ coordinator.KV }

func (deaf) Wait(ctx context.Context, _ string, _ int64) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestClaim_LostWhenTheKeyIsGone(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		m := claimed(t, kv, "a")
		commit(t, kv, nil, coordinator.Delete("/talos/v1/active"))
		awaitClosed(t, m.Lost(), "Lost is closed when the key is gone")
		_, found, err := m.Active(t.Context())
		require.NoError(t, err)
		require.False(t, found)
	})
}

func TestClaim_IsHeldOnce(t *testing.T) {
	m := claimed(t, mem.New(), "a")
	lost := m.Lost()
	require.NoError(t, m.Claim(t.Context()))
	require.True(t, isOpen(lost))
}

func TestClaim_WithoutOneLostIsClosed(t *testing.T) {
	require.False(t, isOpen(openMeta(t, mem.New(), "a").Lost()))
}

func TestClaim_AfterCloseIsRefused(t *testing.T) {
	kv := mem.New()
	m := openMeta(t, kv, "a")
	m.Close()
	require.ErrorIs(t, m.Claim(t.Context()), talos.Closed)
	require.NotContains(t, list(t, kv, "/"), "/talos/v1/active")
}

func TestClaim_EndsWithItsContextAndSaysOnceWhomItWaitsFor(t *testing.T) {
	store := mem.New()
	claimed(t, store.Handle(), "a")

	var log bytes.Buffer
	waiting := &signalWriter{to: &log, written: make(chan struct{}, 16)}
	m, err := coordinator.Open(t.Context(), store.Handle(), nodeNamed("b"), slog.New(slog.NewTextHandler(waiting, nil)))
	require.NoError(t, err)
	defer m.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Claim(ctx) }()
	<-waiting.written
	commit(t, store, nil, coordinator.Put("/unrelated", nil)) // wakes it for nothing
	cancel()
	require.ErrorIs(t, <-done, talos.Canceled)
	require.Equal(t, 1, strings.Count(log.String(), "holder=a address=a.example:7070"))
}

func TestClaim_LivesThroughAnOutage(t *testing.T) {
	kv := &flaky{KV: mem.New()}
	m := openMeta(t, kv, "a")
	kv.failNext(unavailable, 2) // Load, then Load again
	kv.failCommits(lostReply, 1)
	require.NoError(t, m.Claim(t.Context()))
	require.Zero(t, kv.pending())

	// What the commit of unknown outcome had written is gone with its session.
	id := createTopic(t, m, "logs")
	_, err := m.Record(id).Raise(t.Context())
	require.NoError(t, err)
}

// signalWriter tells of each write.
type signalWriter struct {
	to      *bytes.Buffer
	written chan struct{}
}

func (w *signalWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.written <- struct{}{}
	return n, err
}
