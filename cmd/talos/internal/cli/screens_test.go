package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// threePartitions are one with records, one without, and one that nobody serves.
func threePartitions() []sdk.PartitionOffsets {
	return []sdk.PartitionOffsets{
		{
			Partition: 0, Range: talos.OffsetRange{Start: 12, End: 1_048_576}, Segments: 3, Bytes: 700 << 20, Epoch: 4,
			Owner: "node-1", OwnerAddress: "10.0.0.1:7070",
		},
		{Partition: 1, Epoch: 4, Owner: "node-1", OwnerAddress: "10.0.0.1:7070"},
		{Partition: 2, Err: &talos.Error{Kind: talos.NotServing, Subject: "logs/2"}},
	}
}

func TestOffsetsScreen(t *testing.T) {
	var out strings.Builder
	require.NoError(t, printOffsets(&out, formatText, threePartitions()))
	screen(t, `
PARTITION  START      END  SEGMENTS     SIZE  EPOCH  OWNER   ADDRESS
        0     12  1048576         3  700 MiB      4  node-1  10.0.0.1:7070
        1      0        0         0      0 B      4  node-1  10.0.0.1:7070
        2      -        -         -        -      -  -       -
`, out.String())
}

func TestTopicDescribeScreen(t *testing.T) {
	topic := talos.Topic{
		Name: "logs", ID: talos.TopicID{15: 7}, Partitions: 3,
		Config: talos.TopicConfig{
			SegmentBytes: 64 << 20, SegmentMillis: (90 * time.Minute).Milliseconds(), Durability: talos.Flush,
			RetentionMillis: (168 * time.Hour).Milliseconds(), RetentionBytes: 1 << 30,
		},
	}
	d := descriptionJSON{Topic: toTopicJSON(topic), Owners: []ownerJSON{
		{Partition: 0, Owner: "node-1", Address: "10.0.0.1:7070"},
		{Partition: 1, Owner: "node-1", Address: "10.0.0.1:7070"},
		{Partition: 2},
	}}
	var out strings.Builder
	require.NoError(t, d.print(&out, threePartitions()))
	screen(t, `
topic       logs
id          00000000000000000000000000000007
partitions  3
segments    rolled at 64 MiB, or after 1h30m
retention   records of the last 168h, and at most 1.0 GiB of each partition
durability  flush
survives    a crash of the node, and of all DataNodes of a segment but one; not
            the loss of power of all of them at once (stores other than HDFS
            sync all the same)

PARTITION  START      END     SIZE  OWNER   ADDRESS
        0     12  1048576  700 MiB  node-1  10.0.0.1:7070
        1      0        0      0 B  node-1  10.0.0.1:7070
        2      -        -        -  -       -
`, out.String())
}

func TestVersionScreen(t *testing.T) {
	v := versionJSON{Version: "v1.2.3", Go: "go1.26.0", Target: "linux/amd64", Node: &nodeVersion{
		Version: "v1.2.0", ClusterID: "c-1", NodeID: "node-1", MaxRecordBytes: 1 << 20, MaxBatchBytes: 8 << 20,
	}}
	var out strings.Builder
	require.NoError(t, v.print(&out))
	screen(t, `
talos    v1.2.3, go1.26.0, linux/amd64
node     v1.2.0
node id  node-1
cluster  c-1
limits   records up to 1.0 MiB, batches up to 8.0 MiB
`, out.String())
}
