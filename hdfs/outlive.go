package hdfs

import (
	"context"
	"time"

	"github.com/talos-log/talos/hdfs/internal/datanode"
	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// outliveLimit bounds the wait for heartbeats of the DataNodes that live. There is
	// one every 3 s by default.
	outliveLimit = 7 * time.Second
	// outlivePause is between two looks.
	outlivePause = 50 * time.Millisecond
)

// outlive waits until the NameNode has heard of a DataNode that answers later than
// of those that don't. For it hands a block's recovery to the one that it heard of
// last, and to no other one for 30 heartbeats: if that one has just died, nothing
// happens meanwhile.
func (r *recovery) outlive(ctx context.Context, refused []*datanode.NodeError) {
	if len(refused) == 0 {
		return
	}
	dead := map[string]bool{}
	for _, one := range refused {
		dead[uuidOf(one.Node)] = true
	}
	first := map[string]uint64{}
	for begun := time.Now(); time.Since(begun) < outliveLimit; {
		blocks, err := r.store.names.GetBlockLocations(ctx, r.file.path)
		if err != nil || outlived(blocks.GetLastBlock().GetLocations(), dead, first) {
			return
		}
		select {
		case <-time.After(outlivePause):
		case <-ctx.Done():
			return
		}
	}
}

// outlived tells whether waiting is over: the NameNode has heard last of a DataNode
// that is not dead, or of all nothing but the dead, or it goes on hearing of a dead
// one, which then lives. first keeps when it had heard of the dead at the first look.
func outlived(nodes []*wire.DatanodeInfo, dead map[string]bool, first map[string]uint64) bool {
	var living, gone uint64
	alive := 0
	for _, node := range nodes {
		at, uuid := node.GetLastUpdateMonotonic(), uuidOf(node)
		if !dead[uuid] {
			alive++
			living = max(living, at)
			continue
		}
		gone = max(gone, at)
		if before, seen := first[uuid]; seen && at > before {
			return true
		}
		first[uuid] = at
	}
	return alive == 0 || living > gone
}
