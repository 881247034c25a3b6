package hdfs

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/datanode"
	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// maxLeftovers bounds the segments given up whose survivors are remembered; of
	// more, any is forgotten, and left to a lease recovery.
	maxLeftovers = 256
	// leftoverTime bounds the closing of one on its survivors. It takes 50 ms or so.
	leftoverTime = 5 * time.Second
)

// leftover is a segment that this store gave up since some of its DataNodes failed,
// while the others have acknowledged the same length.
type leftover struct {
	file file
	// block has the survivors only.
	block  *wire.LocatedBlock
	length int64
}

// leftovers are those that nobody has recovered, by path.
type leftovers struct {
	mu  sync.Mutex // guards all
	all map[string]leftover
}

// keep remembers what an abandoned writer has left, if its survivors agree, and are
// enough: HDFS drops the replicas of the others when the file is closed without
// them. A recovery of the lease takes all that are back by then.
func (l *leftovers) keep(a *appender) {
	nodes, length := a.writer.Survivors()
	if len(nodes) < a.store.minReplicas {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for path := range l.all {
		if len(l.all) < maxLeftovers {
			break
		}
		delete(l.all, path)
	}
	l.all[a.file.path] = leftover{file: a.file, block: only(a.located, nodes), length: length}
}

// take returns what is left of a file, once.
func (l *leftovers) take(path string) (leftover, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := l.all[path]
	delete(l.all, path)
	return one, ok
}

// only is a block on some of its DataNodes.
func only(block *wire.LocatedBlock, nodes []int) *wire.LocatedBlock {
	kept := proto.CloneOf(block)
	kept.Locations, kept.StorageTypes, kept.StorageIds = nil, nil, nil
	for _, i := range nodes {
		kept.Locations = append(kept.Locations, block.GetLocations()[i])
		if types := block.GetStorageTypes(); i < len(types) {
			kept.StorageTypes = append(kept.StorageTypes, types[i])
		}
		if ids := block.GetStorageIds(); i < len(ids) {
			kept.StorageIds = append(kept.StorageIds, ids[i])
		}
	}
	return kept
}

// errOvertaken: the survivors would not close their replicas.
var errOvertaken = errors.New("the surviving DataNodes did not close the block")

// closeLeftover closes a file of our own on its survivors, under a new generation
// stamp: a DataNode that comes back with the old one has a replica that does not
// count. It asks the NameNode for nothing that takes a heartbeat, and holds the
// lease still. If somebody else has taken that, or takes it in between, a step
// fails, and the lease recovery of that one finds replicas of the same length,
// closed or not: nothing that was acknowledged lies behind it.
func (s *Store) closeLeftover(ctx context.Context, l leftover) error {
	ctx, cancel := context.WithTimeout(ctx, leftoverTime)
	defer cancel()
	old := proto.CloneOf(l.block.GetBlock())
	old.NumBytes = proto.Uint64(uint64(l.length))
	s.step(SurvivorsAgree)
	next, err := s.names.UpdateBlockForPipeline(ctx, &wire.UpdateBlockForPipelineRequest{Block: old, ClientName: &l.file.holder})
	if err != nil {
		return err
	}
	s.step(StampRaised)
	stamped := proto.CloneOf(old)
	stamped.GenerationStamp = proto.Uint64(next.GetBlock().GetGenerationStamp())
	block := proto.CloneOf(l.block)
	block.Block, block.Token = old, next.GetToken()
	if refused := datanode.CloseReplicas(ctx, s.writing(l.file.holder), block, l.length, stamped.GetGenerationStamp()); len(refused) > 0 {
		failures := []error{errOvertaken}
		for _, one := range refused {
			failures = append(failures, one)
		}
		return errors.Join(failures...)
	}
	s.step(ReplicasClosed)
	if err := s.follow(ctx, l.file, block, stamped); err != nil {
		return err
	}
	s.step(SurvivorsFollow)
	if err := complete(ctx, s.names, l.file, stamped, l.length); err != nil {
		return err
	}
	s.step(LeftoverClosed)
	s.metrics.leftovers.Inc()
	return nil
}
