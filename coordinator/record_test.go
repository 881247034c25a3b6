package coordinator_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/talos"
)

func TestRecord_FirstRaiseReadSwap(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		m := registered(t, open(), "a")
		record := m.Record(ownTopic(t, m, "logs", "a"))

		got, err := record.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, talos.NewPartitionRecord(), got)

		got, err = record.Raise(t.Context())
		require.NoError(t, err)
		want := talos.NewPartitionRecord()
		want.Epoch = 1
		require.Equal(t, want, got)

		next := got
		next.Tail = 1
		require.NoError(t, record.Swap(t.Context(), got, next))
		next, moved := next, next
		moved.Start = talos.LogStart{Number: 1, Offset: 17}
		require.NoError(t, record.Swap(t.Context(), next, moved))

		got, err = record.Raise(t.Context())
		require.NoError(t, err)
		require.Equal(t, talos.PartitionRecord{Epoch: 2, Tail: 1, Start: talos.LogStart{Number: 1, Offset: 17}}, got)
		read, err := record.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, got, read)
	})
}

func TestRaise_NeedsRegistrationAndAssignment(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		bystander := openMeta(t, open(), "b")
		id := createTopic(t, bystander, "logs")

		_, err := bystander.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.NotOwner)
		require.Nil(t, ownerOf(t, err), "nobody owns it")
		assign(t, bystander, id.Topic, "b", nil)
		_, err = bystander.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.NotOwner, "it is not registered")

		owner := registered(t, open(), "a")
		_, err = owner.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.NotOwner, "another node owns it")
		assign(t, bystander, id.Topic, "a", nil)
		_, err = owner.Record(id).Raise(t.Context())
		require.NoError(t, err, "whether its view shows it yet or not")
		require.NoError(t, bystander.Register(t.Context()))
		awaitMembers(t, bystander, "a", "b")
		_, err = bystander.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.NotOwner)
		require.Equal(t, &talos.Owner{Address: "a.example:7070", Epoch: 1}, ownerOf(t, err))
	})
}

// The assignment goes to another node between the read and the transaction.
func TestRaise_TheAssignmentIsCheckedByTheTransaction(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		other := openMeta(t, open(), "b")
		kv := &between{KV: open()}
		m := registered(t, kv, "a")
		id := ownTopic(t, m, "logs", "a")
		kv.beforeCommit = func() { assign(t, other, id.Topic, "b", nil) }
		_, err := m.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.NotOwner)
		record, err := m.Record(id).Read(t.Context())
		require.NoError(t, err)
		require.Zero(t, record.Epoch)
	})
}

// Somebody else's partition of the same topic moves meanwhile.
func TestRaise_OverAnotherChangeOfTheAssignment(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		other := openMeta(t, open(), "b")
		kv := &between{KV: open()}
		m := registered(t, kv, "a")
		id := ownTopic(t, m, "logs", "a")
		kv.beforeCommit = func() { assign(t, other, id.Topic, "a", map[int32]string{1: "b"}) }
		_, err := m.Record(id).Raise(t.Context())
		require.NoError(t, err)
	})
}

// What moves is the next owner's after Release, and only what moves.
func TestRelease(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		a, b := registered(t, open(), "a"), registered(t, open(), "b")
		id := ownTopic(t, a, "logs", "a")
		require.NoError(t, a.Assign(t.Context(), id.Topic, []string{"a", "a", "b", "a"}, map[int32]string{0: "b", 1: "c", 2: "a"}))
		require.NoError(t, b.AwaitRevision(t.Context(), a.View().Revision()))
		require.Equal(t, "b", b.View().Owner(id).Next)

		for range 2 {
			require.NoError(t, a.Release(t.Context(), id.Topic, []int32{0, 2, 3}))
		}
		require.Eventually(t, func() bool {
			now := b.View().Assignment(id.Topic)
			return slices.Equal([]string{"b", "a", "b", "a"}, now.Owners)
		}, patience, time.Millisecond)
		require.Len(t, b.View().Assignment(id.Topic).Next, 2, "1 goes on, and 2 is not a's to give")
		_, err := b.Record(id).Raise(t.Context())
		require.NoError(t, err)
		_, err = a.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.NotOwner)
	})
}

// The registration goes between the read and the transaction: only the
// transaction's own condition can notice.
func TestRaise_TheRegistrationIsCheckedByTheTransaction(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		other := open()
		kv := &between{KV: open()}
		m := registered(t, kv, "a")
		id := ownTopic(t, m, "logs", "a")
		kv.beforeCommit = func() { registered(t, other, "a") }
		_, err := m.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.NotOwner)
		record, err := m.Record(id).Read(t.Context())
		require.NoError(t, err)
		require.Zero(t, record.Epoch)
	})
}

func TestRaise_TheTopicIsCheckedByTheTransaction(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		other := openMeta(t, open(), "b")
		kv := &between{KV: open()}
		m := registered(t, kv, "a")
		id := ownTopic(t, m, "logs", "a")
		kv.beforeCommit = func() {
			_, err := other.DeleteTopic(t.Context(), "logs")
			require.NoError(t, err)
		}
		_, err := m.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.UnknownTopic)
		require.Empty(t, list(t, kv, "/talos/v1/records/"))
	})
}

func TestRaise_OverASwapLosesNeither(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		other := openMeta(t, open(), "b")
		kv := &between{KV: open()}
		m := registered(t, kv, "a")
		id := ownTopic(t, m, "logs", "a")
		old, err := m.Record(id).Raise(t.Context())
		require.NoError(t, err)
		kv.beforeCommit = func() {
			next := old
			next.Tail = 1
			require.NoError(t, other.Record(id).Swap(t.Context(), old, next))
		}
		got, err := m.Record(id).Raise(t.Context())
		require.NoError(t, err)
		require.Equal(t, talos.Epoch(2), got.Epoch)
		require.Equal(t, talos.SegmentNumber(1), got.Tail)
	})
}

func TestRaise_OfUnknownOutcomeIsNotTriedAgain(t *testing.T) {
	kv := &flaky{KV: mem.New()}
	m := registered(t, kv, "a")
	record := m.Record(ownTopic(t, m, "logs", "a"))
	sent := kv.commitsSent()
	kv.failCommits(lostReply, 1)

	_, err := record.Raise(t.Context())
	require.ErrorIs(t, err, talos.MetaUnavailable)
	require.Equal(t, sent+1, kv.commitsSent())

	got, err := record.Raise(t.Context())
	require.NoError(t, err)
	require.Equal(t, talos.Epoch(2), got.Epoch, "the first one had been carried out")
}

func TestRaise_GivesUpWhenOthersAlwaysComeFirst(t *testing.T) {
	kv := &between{KV: mem.New()}
	m := registered(t, kv, "a")
	id := ownTopic(t, m, "logs", "a")
	old, err := m.Record(id).Raise(t.Context())
	require.NoError(t, err)
	other := openMeta(t, kv.KV, "b")
	var swap func()
	swap = func() {
		next := old
		next.Tail++
		require.NoError(t, other.Record(id).Swap(t.Context(), old, next))
		old = next
		kv.beforeCommit = swap
	}
	kv.beforeCommit = swap
	_, err = m.Record(id).Raise(t.Context())
	require.ErrorIs(t, err, talos.MetaUnavailable)
}

func TestSwap_Refused(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		m := registered(t, open(), "a")
		record := m.Record(ownTopic(t, m, "logs", "a"))
		next := talos.PartitionRecord{Epoch: 1, Tail: 1, Start: talos.LogStart{Number: 1}}
		require.ErrorIs(t, record.Swap(t.Context(), talos.NewPartitionRecord(), next), talos.NotOwner, "no record yet")

		stale, err := record.Raise(t.Context())
		require.NoError(t, err)
		current, err := record.Raise(t.Context())
		require.NoError(t, err)
		for name, old := range map[string]talos.PartitionRecord{
			"an earlier epoch": stale,
			"another tail":     {Epoch: current.Epoch, Tail: 1, Start: current.Start},
			"another start":    {Epoch: current.Epoch, Start: talos.LogStart{Number: 1, Offset: 1}},
		} {
			err := record.Swap(t.Context(), old, next)
			require.ErrorIs(t, err, talos.NotOwner, name)
			require.Equal(t, &talos.Owner{Address: "a.example:7070", Epoch: 2}, ownerOf(t, err), name)
		}
		require.ErrorIs(t, record.Swap(t.Context(), current, talos.PartitionRecord{}), talos.Internal, "not a record")
		got, err := record.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, current, got)
	})
}

// between runs a function once before a commit, after what it rests on was read.
type between struct {
	coordinator.KV
	beforeCommit func()
}

func (b *between) Commit(ctx context.Context, conds []coordinator.Cond, ops []coordinator.Op) (int64, error) {
	if run := b.beforeCommit; run != nil {
		b.beforeCommit = nil
		run()
	}
	return b.KV.Commit(ctx, conds, ops)
}

func ownerOf(t *testing.T, err error) *talos.Owner {
	t.Helper()
	var e *talos.Error
	require.ErrorAs(t, err, &e)
	return e.Owner
}
