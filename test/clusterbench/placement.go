package clusterbench

import (
	"context"
	"fmt"
	"syscall"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/process"
)

// create makes the topic, and waits until all nodes have their share of it.
func (l *lab) create(ctx context.Context, partitions int32, cfg talos.TopicConfig) error {
	if _, err := l.client.CreateTopic(ctx, topic, partitions, cfg); err != nil {
		return err
	}
	return l.awaitBalance(ctx, partitions)
}

// placement is where each partition is now.
func (l *lab) placement(ctx context.Context) ([]sdk.PartitionPlacement, error) {
	found, err := l.client.Placement(ctx, topic)
	if err != nil {
		return nil, err
	}
	return found[0].Partitions, nil
}

// ownedBy are the partitions of one node.
func (l *lab) ownedBy(ctx context.Context, id string) ([]int32, error) {
	all, err := l.placement(ctx)
	var owned []int32
	for _, p := range all {
		if p.Owner == id {
			owned = append(owned, p.Partition)
		}
	}
	if err == nil && len(owned) == 0 {
		err = fmt.Errorf("%s owns nothing", id)
	}
	return owned, err
}

// awaitBalance waits until each node has a fair part, and nothing moves.
func (l *lab) awaitBalance(ctx context.Context, partitions int32) error {
	return l.await(ctx, "all nodes have their share", func(ctx context.Context) (bool, error) {
		s, err := l.client.Cluster(ctx)
		if err != nil {
			return false, err
		}
		fair := 0
		for _, n := range s.Nodes {
			if n.Registered && 2*n.Owned*l.Nodes >= int(partitions) {
				fair++
			}
		}
		if fair < l.Nodes || s.Moving > 0 || s.Orphans > 0 || s.Partitions != int(partitions) {
			return false, fmt.Errorf("%d of %d nodes have it, %d partitions move, %d have no owner", fair, l.Nodes, s.Moving, s.Orphans)
		}
		return true, nil
	})
}

// awaitOffsets waits until the owner of each partition answers, and none of them is
// the node without.
func (l *lab) awaitOffsets(ctx context.Context, without string) error {
	return l.await(ctx, "all partitions are served", func(ctx context.Context) (bool, error) {
		all, err := l.client.Offsets(ctx, topic)
		if err != nil {
			return false, err
		}
		for _, o := range all {
			if o.Err != nil || o.Owner == without {
				return false, o.Err
			}
		}
		return true, nil
	})
}

// pinAll brings all partitions to one node.
func (l *lab) pinAll(ctx context.Context, partitions int32, node string) error {
	var pins []sdk.Pin
	for p := range partitions {
		pins = append(pins, sdk.Pin{Topic: topic, Partition: p, Node: node})
	}
	if err := l.client.PinPartitions(ctx, pins...); err != nil {
		return err
	}
	return l.await(ctx, "all partitions are on one node", func(ctx context.Context) (bool, error) {
		all, err := l.placement(ctx)
		for _, p := range all {
			if p.Owner != node || p.Next != "" {
				return false, err
			}
		}
		return true, err
	})
}

// kill ends a node with SIGKILL.
func kill(n *process.Server) error { return n.Child().End(syscall.SIGKILL, endTimeout) }

// start runs a node again, and waits until it serves.
func (l *lab) start(ctx context.Context, n *process.Server) error {
	if err := n.Launch(l.Binary); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return n.Await(ctx)
}
