package datanode

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// sickTime is how long what failed is tried after what did not.
	sickTime = 30 * time.Second
	// maxSick bounds what is remembered; what failed first is forgotten first.
	maxSick = 128
)

// health remembers what failed lately: DataNodes that could not be reached or
// stalled, and single replicas that could not be read.
type health struct {
	mu   sync.Mutex           // guards sick
	sick map[string]time.Time // when it failed
}

func newHealth() *health { return &health{sick: map[string]time.Time{}} }

func nodeKey(node *wire.DatanodeInfo) string { return node.GetId().GetDatanodeUuid() }

func replicaKey(node *wire.DatanodeInfo, block *wire.ExtendedBlock) string {
	return fmt.Sprintf("%s %s %d", node.GetId().GetDatanodeUuid(), block.GetPoolId(), block.GetBlockId())
}

// order returns a block's DataNodes: first, as the NameNode sorted them, those
// that did not fail lately, then the others, the one that failed first in front.
func (h *health) order(block *wire.LocatedBlock) []*wire.DatanodeInfo {
	nodes := block.GetLocations()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.sick) == 0 {
		return nodes
	}
	now := time.Now()
	failed := map[*wire.DatanodeInfo]time.Time{}
	for _, node := range nodes {
		for _, key := range []string{nodeKey(node), replicaKey(node, block.GetBlock())} {
			at, sick := h.sick[key]
			switch {
			case sick && now.Sub(at) >= sickTime:
				delete(h.sick, key)
			case sick && at.After(failed[node]):
				failed[node] = at
			}
		}
	}
	sorted := slices.Clone(nodes)
	slices.SortStableFunc(sorted, func(a, b *wire.DatanodeInfo) int { return failed[a].Compare(failed[b]) })
	return sorted
}

// ailing tells whether a DataNode could not be reached, or stalled, lately.
func (h *health) ailing(node *wire.DatanodeInfo) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, sick := h.sick[nodeKey(node)]
	return sick && time.Since(at) < sickTime
}

// failed notes why a replica was not read.
func (h *health) failed(node *wire.DatanodeInfo, block *wire.ExtendedBlock, reason string) {
	key := replicaKey(node, block)
	if reason == ReasonConnect || reason == ReasonTimeout {
		key = nodeKey(node)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := h.sick[key]; !there && len(h.sick) >= maxSick {
		first := ""
		for other, at := range h.sick {
			if first == "" || at.Before(h.sick[first]) {
				first = other
			}
		}
		delete(h.sick, first)
	}
	h.sick[key] = time.Now()
}

// well forgets what was held against a replica and its DataNode.
func (h *health) well(node *wire.DatanodeInfo, block *wire.ExtendedBlock) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.sick) > 0 {
		delete(h.sick, nodeKey(node))
		delete(h.sick, replicaKey(node, block))
	}
}
