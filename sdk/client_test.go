package sdk_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

func TestDialRefuses(t *testing.T) {
	for _, address := range []string{"", "host", "1:2:3", "host:1\x00"} {
		_, err := sdk.Dial(address)
		require.ErrorIs(t, err, talos.InvalidConfig, "%q", address)
	}
}

func TestDialRefusesOptions(t *testing.T) {
	_, err := sdk.Dial("node:1", sdk.WithMetadataInterval(0))
	require.ErrorIs(t, err, talos.InvalidConfig)
	require.ErrorContains(t, err, "metadata interval: 0s, the least is 10ms")
	_, err = sdk.Dial(strings.Repeat("node:1,", 64) + "node:1")
	require.ErrorContains(t, err, "65 addresses, the limit is 64")
	_, err = sdk.Dial("node:1,,other:1")
	require.ErrorIs(t, err, talos.InvalidConfig)
}

func TestTopics(t *testing.T) {
	n := newNode(2)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		_, err := client.CreateTopic(t.Context(), "logs", 2, talos.TopicConfig{})
		require.ErrorIs(t, err, talos.TopicExists)
		require.NoError(t, client.DeleteTopic(t.Context(), "logs"))
		_, err = client.Describe(t.Context(), "logs")
		require.ErrorIs(t, err, talos.UnknownTopic)
		require.Equal(t, "sdk.Describe logs: there is no such topic", err.Error())

		cfg := talos.TopicConfig{SegmentBytes: 1 << 20, SegmentMillis: 5000}
		made, err := client.CreateTopic(t.Context(), "more", 2, cfg)
		require.NoError(t, err)
		require.Equal(t, talos.Topic{Name: "more", Partitions: 2, Config: cfg}, made)
		topics, err := client.Topics(t.Context())
		require.NoError(t, err)
		require.Equal(t, []talos.Topic{made}, topics)
		d, err := client.Describe(t.Context(), "more")
		require.NoError(t, err)
		require.Equal(t, sdk.TopicDescription{Topic: made, Partitions: []sdk.PartitionOwner{
			{Partition: 0, Owner: "n", Address: "node:7070"}, {Partition: 1, Owner: "n", Address: "node:7070"},
		}}, d)
	})
}

func TestOffsets(t *testing.T) {
	n := newNode(2)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, 0, "a", "b")
		n.partitionFaults[1] = []error{talos.NotServing}
		got, err := client.Offsets(t.Context(), "logs")
		require.NoError(t, err)
		require.Len(t, got, 2)
		require.Equal(t, sdk.PartitionOffsets{
			Range: talos.OffsetRange{End: 2}, Segments: 2, Bytes: 100, Epoch: 3, Owner: "n", OwnerAddress: "node:7070",
		}, got[0])
		require.ErrorIs(t, got[1].Err, talos.NotServing)
		require.EqualValues(t, 1, got[1].Partition)

		// It has just moved to a node that can't be reached: that is said of it alone.
		n.partitionFaults[1] = []error{&talos.Error{Kind: talos.NotOwner, Owner: &talos.Owner{Address: "nowhere", Epoch: 9}}}
		got, err = client.Offsets(t.Context(), "logs")
		require.NoError(t, err)
		require.NoError(t, got[0].Err)
		require.Error(t, got[1].Err)
	})
}

func TestServerVersion(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		v, err := client.ServerVersion(t.Context())
		require.NoError(t, err)
		require.Equal(t, sdk.ServerVersion{
			Version: "v1", ClusterID: "c", NodeID: "n", MaxRecordBytes: 1 << 20, MaxBatchBytes: 1<<20 + 64<<10,
			Protocols: talos.FirstProtocol,
		}, v)
	})
}

func TestClosedClient(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		require.NoError(t, client.Close())
		require.NoError(t, client.Close())
		_, err := client.Topics(t.Context())
		require.ErrorIs(t, err, talos.Closed)
	})
}

// Every kind comes through the wire as it is, with what is particular to it.
func TestErrorsComeThroughTheWire(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		for _, kind := range talos.Kinds() {
			for _, sent := range []talos.Error{
				{Kind: kind},
				{Kind: kind, Detail: "a detail"},
				{Kind: kind, Owner: &talos.Owner{Address: "n2:7070", Epoch: 8}},
				{Kind: kind, Detail: "a detail", Range: &talos.OffsetRange{Start: 3, End: 9}},
			} {
				n.versionFaults = []error{&sent}
				_, err := client.ServerVersion(t.Context())
				var got *talos.Error
				require.ErrorAs(t, err, &got)
				want := sent
				want.Op = "sdk.ServerVersion"
				require.Empty(t, cmp.Diff(&want, got))
			}
		}
	})
}

// A kind of a later version counts by what the node says of it.
func TestUnknownKinds(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.versionFaults = []error{&talos.Error{Kind: "Later", Detail: "no idea"}}
		_, err := client.ServerVersion(t.Context())
		require.ErrorIs(t, err, talos.Internal)
		require.ErrorContains(t, err, "no idea")
		require.ErrorContains(t, err, "Later")
		require.False(t, talos.Retryable(err))
	})
}
