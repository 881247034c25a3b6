package coordinator_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

func TestRegister_EachNodeSeesTheOthers(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		a, b := registered(t, open(), "a"), registered(t, open(), "b")
		awaitMembers(t, a, "a", "b")
		awaitMembers(t, b, "a", "b")
		member, ok := b.View().Member("a")
		require.True(t, ok)
		require.Equal(t, nodeNamed("a"), member.Node)
		require.True(t, isOpen(a.Lost()))

		a.Close()
		awaitClosed(t, a.Lost(), "a registration ends with Close")
		awaitMembers(t, b, "b")
	})
}

// awaitMembers waits until a node sees exactly these.
func awaitMembers(t *testing.T, m *coordinator.Meta, want ...string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var ids []string
		for _, member := range m.View().Members() {
			ids = append(ids, member.ID)
		}
		return slices.Equal(want, ids)
	}, patience, time.Millisecond)
}

// The old run's session lives on for an hour, so a registration that waited for it
// would never be done.
func TestRegister_TheSameNodeTakesOverAtOnceAfterACrash(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		before := registered(t, kv, "a")
		id := ownTopic(t, before, "logs", "a")
		_, err := before.Record(id).Raise(t.Context())
		require.NoError(t, err)
		kv.crash()

		after := registered(t, open(), "a")
		record, err := after.Record(id).Raise(t.Context())
		require.NoError(t, err)
		require.Equal(t, talos.Epoch(2), record.Epoch)
	})
}

func TestRegister_TheEarlierRunLosesWhenTheSameNodeTakesOver(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		before := registered(t, open(), "a")
		id := ownTopic(t, before, "logs", "a")
		after := registered(t, open(), "a")

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

// Two processes under one id must not take it from each other for ever.
func TestRegister_TheEarlierRunWaitsUntilTheOtherIsGone(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		before := registered(t, open(), "a")
		after := registered(t, open(), "a")
		awaitClosed(t, before.Lost(), "the earlier run learns of it")
		again := make(chan error, 1)
		go func() { again <- before.Register(t.Context()) }()

		id := ownTopic(t, after, "logs", "a")
		_, err := after.Record(id).Raise(t.Context())
		require.NoError(t, err)
		require.True(t, isOpen(after.Lost()))
		require.Empty(t, again)
		after.Close()
		require.NoError(t, <-again)
	})
}

func TestRegister_LostWithTheSessionAndRegisteredAgain(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		m := registered(t, kv, "a")
		id := ownTopic(t, m, "logs", "a")
		lost := m.Lost()

		kv.endSessions()
		awaitClosed(t, lost, "Lost is closed when the session ends")
		_, err := m.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.NotOwner)

		require.NoError(t, m.Register(t.Context()))
		require.True(t, isOpen(m.Lost()))
		record, err := m.Record(id).Raise(t.Context())
		require.NoError(t, err)
		require.Equal(t, talos.Epoch(1), record.Epoch)
	})
}

// A node that is cut off from etcd does not hear that its key is gone: its own
// session must tell it.
func TestRegister_LostWithTheSessionAlsoIfTheKeyIsNotSeenToGo(t *testing.T) {
	kv := mem.New()
	m := registered(t, deaf{KV: kv}, "a")
	kv.EndSessions()
	awaitClosed(t, m.Lost(), "Lost is closed when the session ends")
}

// deaf is a KV that never hears of a change.
type deaf struct{ coordinator.KV }

func (d deaf) Watch(ctx context.Context, prefix string, take func(coordinator.Update)) error {
	first := true
	return d.KV.Watch(ctx, prefix, func(u coordinator.Update) {
		if first {
			take(u)
		}
		first = false
	})
}

func TestRegister_LostWhenTheKeyIsGone(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		m := registered(t, kv, "a")
		commit(t, kv, nil, coordinator.Delete("/talos/v1/view/nodes/a"))
		awaitClosed(t, m.Lost(), "Lost is closed when the key is gone")
		require.Empty(t, m.View().Members())
	})
}

func TestRegister_IsHeldOnce(t *testing.T) {
	m := registered(t, mem.New(), "a")
	lost := m.Lost()
	require.NoError(t, m.Register(t.Context()))
	require.True(t, isOpen(lost))
}

func TestRegister_WithoutOneLostIsClosed(t *testing.T) {
	require.False(t, isOpen(openMeta(t, mem.New(), "a").Lost()))
}

func TestRegister_AfterCloseIsRefused(t *testing.T) {
	kv := mem.New()
	m := openMeta(t, kv, "a")
	m.Close()
	require.ErrorIs(t, m.Register(t.Context()), talos.Closed)
	require.NotContains(t, list(t, kv, "/"), "/talos/v1/view/nodes/a")
}

func TestRegister_LivesThroughAnOutage(t *testing.T) {
	kv := &flaky{KV: mem.New()}
	m := openMeta(t, kv, "a")
	kv.failNext(unavailable, 2) // Load, then Load again
	kv.failCommits(lostReply, 1)
	require.NoError(t, m.Register(t.Context()))
	require.Zero(t, kv.pending())

	// What the commit of unknown outcome had written is gone with its session.
	id := ownTopic(t, m, "logs", "a")
	_, err := m.Record(id).Raise(t.Context())
	require.NoError(t, err)
}

// A node says of itself that it can't work, also across registrations, and
// nothing of its registration is lost by that.
func TestRegister_UnfitIsSaidUntilItIsOver(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		kv := open()
		m := registered(t, kv, "a")
		id := ownTopic(t, m, "logs", "a")
		fit := func() bool {
			member, ok := m.View().Member("a")
			return ok && member.Unfit == nil
		}
		require.NoError(t, m.SetUnfit(t.Context(), "the store is away"))
		require.Eventually(t, func() bool { return !fit() }, patience, time.Millisecond)
		require.True(t, isOpen(m.Lost()))
		_, err := m.Record(id).Raise(t.Context())
		require.NoError(t, err, "who should own it is the scheduler's decision")

		kv.endSessions()
		awaitClosed(t, m.Lost(), "the session ends")
		require.NoError(t, m.Register(t.Context()))
		awaitMembers(t, m, "a")
		require.False(t, fit())
		require.NoError(t, m.SetUnfit(t.Context(), ""))
		require.Eventually(t, fit, patience, time.Millisecond)
	})
}

func TestLeaving_ARestartEndsWithTheNextRegistrationADrainDoesNot(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		operator := openMeta(t, open(), "b")
		for kind, mark := range map[coordinator.LeavingKind]func() error{
			coordinator.LeavingRestart: func() error { return operator.Restart(t.Context(), "a", time.Now().Add(time.Hour)) },
			coordinator.LeavingDrain:   func() error { return operator.Drain(t.Context(), "a") },
		} {
			m := registered(t, open(), "a")
			require.NoError(t, mark())
			m.Close()
			awaitMembers(t, operator)
			got, ok := operator.View().Leaving("a")
			require.True(t, ok, "it outlives the node")
			require.Equal(t, kind, got.Kind)

			m = registered(t, open(), "a")
			require.Eventually(t, func() bool {
				_, marked := operator.View().Leaving("a")
				_, registered := operator.View().Member("a")
				return registered && marked == (kind == coordinator.LeavingDrain)
			}, patience, time.Millisecond)
			require.NoError(t, operator.Uncordon(t.Context(), "a"))
			m.Close()
		}
	})
}

// A restart ends with the node's return: of a node that is to own nothing it would
// take the drain away, unasked.
func TestLeaving_ARestartIsNoWayOutOfADrain(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		m := registered(t, open(), "a")
		restart := func() error { return m.Restart(t.Context(), "a", time.Now().Add(time.Hour)) }
		require.NoError(t, m.Drain(t.Context(), "a"))
		require.ErrorIs(t, restart(), talos.UnschedulableNode)
		mark, _ := m.View().Leaving("a")
		require.Equal(t, coordinator.LeavingDrain, mark.Kind)
		require.NoError(t, m.Uncordon(t.Context(), "a"))
		require.NoError(t, restart())
		require.NoError(t, restart(), "for longer")
	})
}

func TestLeaving_ANodesOwnMarkGoesWithIt(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		operator := openMeta(t, open(), "b")
		m := registered(t, open(), "a")
		require.NoError(t, m.LeaveNow(t.Context()))
		mark, ok := m.View().Leaving("a")
		require.True(t, ok)
		require.Equal(t, coordinator.LeavingDrain, mark.Kind)
		require.True(t, mark.Ending)
		m.Close()
		awaitMembers(t, operator)
		require.Empty(t, operator.View().Marks())
	})
}

// opening is a KV that does something before it opens a session.
type opening struct {
	coordinator.KV
	before func()
}

func (o opening) OpenSession(ctx context.Context) (coordinator.Session, error) {
	o.before()
	return o.KV.OpenSession(ctx)
}

// What a node says of itself while it registers is not lost.
func TestSetUnfit_WhileTheNodeRegisters(t *testing.T) {
	for _, reason := range []string{"no store", ""} {
		var m *coordinator.Meta
		kv := opening{mem.New(), func() { require.NoError(t, m.SetUnfit(t.Context(), reason)) }}
		m = openMeta(t, kv, "a")
		if reason == "" {
			require.NoError(t, m.SetUnfit(t.Context(), "no store"))
		}
		require.NoError(t, m.Register(t.Context()))
		e, err := kv.Load(t.Context(), "/talos/v1/view/nodes/a")
		require.NoError(t, err)
		require.Equal(t, reason != "", strings.Contains(string(e[0].Value), "no store"), "%s", e[0].Value)
		_, err = m.Record(ownTopic(t, m, "logs", "a")).Raise(t.Context())
		require.NoError(t, err, "the registration holds")
	}
}

// The mark of a node that was killed as it ended says nothing of the node that is
// started in its place, though the session that it is bound to lives on.
func TestLeaving_TheNextRunIsNotEnding(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		first, second := open(), open()
		killed := registered(t, first, "a")
		require.NoError(t, killed.LeaveNow(t.Context()))
		first.crash()
		next := registered(t, second, "a")
		require.Eventually(t, func() bool { return len(next.View().Marks()) == 0 }, patience, time.Millisecond)
		require.NoError(t, next.LeaveNow(t.Context()))
		mark, marked := next.View().Leaving("a")
		require.True(t, marked)
		require.True(t, mark.Ending)
	})
}

// What the node says of itself may have been heard though the answer was lost. Its
// registration holds all the same, and what rests on it does, too.
func TestSetUnfit_AnAnswerThatIsLostStopsNothing(t *testing.T) {
	kv := &flaky{KV: mem.New()}
	m := registered(t, kv, "a")
	id := ownTopic(t, m, "logs", "a")
	kv.failCommits(lostReply, 1)
	require.ErrorIs(t, m.SetUnfit(t.Context(), "no store"), talos.MetaUnavailable)
	sent := kv.commitsSent()
	_, err := m.Record(id).Raise(t.Context())
	require.NoError(t, err)
	require.LessOrEqual(t, kv.commitsSent()-sent, 3)

	kv.failCommits(lostReply, 1)
	require.ErrorIs(t, m.SetUnfit(t.Context(), ""), talos.MetaUnavailable)
	require.NoError(t, m.Assign(t.Context(), id.Topic, []string{"a", "a", "a", "a"}, map[int32]string{0: "b"}))
	sent = kv.commitsSent()
	require.NoError(t, m.Release(t.Context(), id.Topic, []int32{0}))
	require.LessOrEqual(t, kv.commitsSent()-sent, 3)
	require.Equal(t, "b", m.View().Owner(id).Owner)
}
