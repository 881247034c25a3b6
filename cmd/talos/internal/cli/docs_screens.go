package cli

import (
	"strings"

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
	prompt("talos consume lgs --from -15m --keys")
	report(&b, &talos.Error{Kind: talos.UnknownTopic, Subject: "lgs"})
	return strings.TrimPrefix(b.String(), "\n")
}
