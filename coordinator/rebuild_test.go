package coordinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/talos"
)

func TestReplace_TakesTheRecordThatFollows(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		bystander := openMeta(t, open(), "b")
		id := createTopic(t, bystander, "logs")
		old := talos.NewPartitionRecord()
		next := talos.PartitionRecord{Epoch: 7, Tail: 5, Start: talos.LogStart{Number: 3, Offset: 100}}
		require.ErrorIs(t, bystander.Record(id).Replace(t.Context(), old, next), talos.NotOwner)

		m := registered(t, open(), "a")
		assign(t, m, id.Topic, "a", nil)
		record := m.Record(id)
		require.NoError(t, record.Replace(t.Context(), old, next))
		got, err := record.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, next, got)
		require.ErrorIs(t, record.Replace(t.Context(), old, next), talos.NotOwner, "it is another one by now")
		require.ErrorIs(t, record.Replace(t.Context(), next, talos.PartitionRecord{}), talos.Internal)
		require.ErrorIs(t, m.Record(talos.PartitionID{Topic: talos.NewTopicID()}).Replace(t.Context(), old, next), talos.UnknownTopic)
	})
}

// An old copy of etcd would give producer ids out again; what a node has
// reserved from it is dropped.
func TestReplace_PassesOverProducerIDs(t *testing.T) {
	eachDriver(t, func(t *testing.T, open func() handle) {
		m := registered(t, open(), "a")
		id := ownTopic(t, m, "logs", "a")
		ids := coordinator.NewProducerIDs(m)
		before, err := ids.Next(t.Context())
		require.NoError(t, err)

		require.NoError(t, m.Record(id).Replace(t.Context(), talos.NewPartitionRecord(), talos.PartitionRecord{Epoch: 1, Start: talos.LogStart{Number: 1}}))
		require.NoError(t, ids.Drop(t.Context()))
		after, err := ids.Next(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, after-before, int64(3600)<<16)
	})
}
