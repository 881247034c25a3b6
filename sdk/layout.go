package sdk

import (
	"context"

	"github.com/talos-log/talos/talos"
)

// layout is a topic and where its partitions are.
type layout struct {
	topic talos.Topic
	// owners has an address for each partition; empty if nobody is known.
	owners []string
}

// owner is where a partition is.
func (l layout) owner(partition int32) string {
	if int(partition) >= len(l.owners) {
		return ""
	}
	return l.owners[partition]
}

// layout asks where a topic's partitions are.
func (c *Client) layout(ctx context.Context, name talos.TopicName) (layout, error) {
	d, err := c.Describe(ctx, name)
	if err != nil {
		return layout{}, err
	}
	l := layout{topic: d.Topic, owners: make([]string, d.Topic.Partitions)}
	for _, p := range d.Partitions {
		if p.Partition < 0 || p.Partition >= d.Topic.Partitions {
			return layout{}, malformed("sdk.Describe", string(name))
		}
		if p.Owner != "" {
			l.owners[p.Partition] = c.book.of(p.Owner, p.Address)
		}
	}
	return l, nil
}

// follow returns where to go on after an error, from the node that it names as
// the owner; false if it names none, or one of before the epoch seen.
func follow(err error, seen talos.Epoch) (address string, ok bool) {
	owner := ownerOf(err)
	if owner.Address == "" || owner.Epoch != 0 && owner.Epoch < seen {
		return "", false
	}
	return owner.Address, true
}
