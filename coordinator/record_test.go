package coordinator_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/talos"
)

func TestRecord_FirstRaiseReadSwap(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		m := claimed(t, open(), "a")
		record := m.Record(createTopic(t, m, "logs"))

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

func TestRaise_NeedsTheClaim(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		bystander := openMeta(t, open(), "b")
		id := createTopic(t, bystander, "logs")

		_, err := bystander.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.NotOwner)
		require.Nil(t, ownerOf(t, err), "nobody is active")

		active := claimed(t, open(), "a")
		_, err = active.Record(id).Raise(t.Context())
		require.NoError(t, err)
		_, err = bystander.Record(id).Raise(t.Context())
		require.ErrorIs(t, err, talos.NotOwner)
		require.Equal(t, &talos.Owner{Address: "a.example:7070", Epoch: 1}, ownerOf(t, err))
	})
}

// The claim goes between the read and the transaction: only the transaction's
// own condition can notice.
func TestRaise_TheClaimIsCheckedByTheTransaction(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		other := open()
		kv := &between{KV: open()}
		m := claimed(t, kv, "a")
		id := createTopic(t, m, "logs")
		kv.beforeCommit = func() { claimed(t, other, "a") }
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
		m := claimed(t, kv, "a")
		id := createTopic(t, m, "logs")
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
		m := claimed(t, kv, "a")
		id := createTopic(t, m, "logs")
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
	m := claimed(t, kv, "a")
	record := m.Record(createTopic(t, m, "logs"))
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
	m := claimed(t, kv, "a")
	id := createTopic(t, m, "logs")
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
		m := claimed(t, open(), "a")
		record := m.Record(createTopic(t, m, "logs"))
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
