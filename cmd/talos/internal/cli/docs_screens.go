package cli

import (
	"strings"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// screens shows, for docs/cli.md, what commands print for people. They print it
// here as well, so that the page is true.
func screens() string {
	const id, node, address = "69dea85c80b7405e8ab493bae2df2bed", "node-f999f893", "127.0.0.1:7070"
	offsets := []sdk.PartitionOffsets{
		{Range: talos.OffsetRange{Start: 120_000, End: 300_000}, Segments: 3, Bytes: 700 << 20, Epoch: 4},
		{Partition: 1, Range: talos.OffsetRange{End: 17}, Segments: 1, Bytes: 3912, Epoch: 4},
	}
	topic := toTopicJSON(talos.Topic{Name: "logs", Partitions: int32(len(offsets))})
	topic.ID = id
	described := descriptionJSON{Topic: topic}
	for i := range offsets {
		offsets[i].Owner, offsets[i].OwnerAddress = node, address
		described.Owners = append(described.Owners, ownerJSON{Partition: int32(i), Owner: node, Address: address})
	}
	var b strings.Builder
	prompt := func(command string) { b.WriteString("\n$ " + command + "\n") }
	// A builder takes everything.
	prompt("talos topic describe logs")
	_ = described.print(&b, offsets)
	prompt("talos offsets logs")
	_ = printOffsets(&b, formatText, offsets)
	prompt("talos cluster status")
	_ = printCluster(&b, exampleCluster())
	prompt("talos node drain node-2 --dry-run")
	_ = printPlan(&b, sdk.MovePlan{Pause: 50 * time.Millisecond, AtOnce: 16, Moves: []sdk.PlannedMove{
		{Topic: "logs", From: "node-2", To: "node-1", Reason: "its owner drains", BytesPerSecond: 3 << 20},
		{Topic: "logs", Partition: 4, From: "node-2", To: "node-1", Reason: "its owner drains"},
	}})
	prompt("talos consume lgs --from -15m --keys")
	report(&b, &talos.Error{Kind: talos.UnknownTopic, Subject: "lgs"})
	return strings.TrimPrefix(b.String(), "\n")
}

// exampleCluster is one in which a node is away.
func exampleCluster() sdk.ClusterStatus {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	node := func(id, address string) sdk.NodeStatus {
		return sdk.NodeStatus{
			ID: id, Address: address, Version: "v1.0.0", Registered: true, Started: at.Add(-26 * time.Hour), Owned: 40,
			BytesPerSecond: 3 << 19, AppendsPerSecond: 210,
		}
	}
	return sdk.ClusterStatus{
		ID: "4f1c0de8-6a8e-4f3a-9a52-0c6c4d7f9b10", At: at, Scheduler: "node-1", Topics: 4, Partitions: 120, Held: 40,
		Nodes: []sdk.NodeStatus{
			node("node-1", "10.0.0.1:7070"), node("node-2", "10.0.0.2:7070"),
			{ID: "node-3", Owned: 40, Mark: sdk.MarkRestart, MarkUntil: at.Add(80 * time.Second)},
		},
	}
}
