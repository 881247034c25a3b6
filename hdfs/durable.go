package hdfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/datanode"
	"github.com/talos-log/talos/hdfs/internal/namenode"
	"github.com/talos-log/talos/hdfs/internal/wire"
)

// maxSyncAttempts bounds how often a recovered block is opened for its sync; each
// attempt leaves out the DataNodes that failed before.
const maxSyncAttempts = 3

// errSyncBroken: the sync of a recovered segment was ended from outside.
var errSyncBroken = errors.New("the sync of the recovered segment was interrupted")

// sync makes a closed file's last bytes as durable as acknowledged ones. DataNodes
// sync only for a writer, so the file is opened for append and closed again
// without a byte being added.
func (r *recovery) sync(ctx context.Context) error {
	status, err := r.store.names.GetFileInfo(ctx, r.file.path)
	if err != nil {
		return err
	}
	length := int64(status.GetLength())
	if length == 0 || !marked(status) {
		return nil // nothing to sync, or somebody else has done it meanwhile
	}
	opened, err := r.append(ctx)
	if err != nil {
		return err
	}
	block := opened.GetBlock()
	if block == nil {
		return fmt.Errorf("its block is full with %d bytes, which no segment's is: another program wrote it", length)
	}
	r.leaveOutLaggards(block)
	r.file.id = status.GetFileId()
	w, stamped, err := r.reopen(ctx, block, length)
	if err != nil {
		return err
	}
	synced := make(chan error, 1)
	w.Sync(func(err error) { synced <- err })
	select {
	case err = <-synced:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err == nil {
		err = w.Finish(ctx)
	}
	w.Abandon()
	if errors.Is(err, datanode.ErrLaggard) {
		r.laggards = append(r.laggards, w.Culprits()...)
		r.store.blame(w)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errSyncBroken, err)
	}
	return complete(ctx, r.store.names, r.file, stamped, length)
}

// append opens the file for append. After a lease recovery the file is closed
// before the DataNodes have reported the block, and can't be opened until one has.
func (r *recovery) append(ctx context.Context) (*wire.AppendResponse, error) {
	for pause := completeFirst; ; pause = min(2*pause, completeMost) {
		opened, err := r.store.names.Append(ctx, &wire.AppendRequest{
			Src: &r.file.path, ClientName: &r.file.holder, Flag: proto.Uint32(uint32(wire.CreateFlag_APPEND)),
		})
		if !errors.Is(err, namenode.ErrNotYet) {
			return opened, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, errors.Join(err, context.Cause(ctx))
		}
	}
}

// leaveOutLaggards takes those out of a block's locations that did not sync in an
// earlier round, as long as others remain.
func (r *recovery) leaveOutLaggards(block *wire.LocatedBlock) {
	for _, node := range r.laggards {
		if len(block.GetLocations()) > 1 {
			without(block, node)
		}
	}
}

// reopen connects to the replicas of a closed block under a new generation
// stamp, and tells the NameNode which of them follow.
func (r *recovery) reopen(ctx context.Context, block *wire.LocatedBlock, length int64) (*datanode.Writer, *wire.ExtendedBlock, error) {
	var failures []error
	for attempt := range maxSyncAttempts {
		next, err := r.store.names.UpdateBlockForPipeline(ctx, &wire.UpdateBlockForPipelineRequest{Block: block.GetBlock(), ClientName: &r.file.holder})
		if err != nil {
			return nil, nil, err
		}
		stamped := proto.CloneOf(block.GetBlock())
		stamped.GenerationStamp = proto.Uint64(next.GetBlock().GetGenerationStamp())
		stamped.NumBytes = proto.Uint64(uint64(length))
		block.Token = next.GetToken()
		w, refused := datanode.Connect(ctx, r.store.writing(r.file.holder), block, datanode.Setup{
			Append: true, Again: attempt > 0, Length: length, NewStamp: stamped.GetGenerationStamp(),
		})
		if len(refused) == 0 {
			if err := r.store.follow(ctx, r.file, block, stamped); err != nil {
				w.Abandon()
				return nil, nil, err
			}
			return w, stamped, nil
		}
		waited := r.waited
		for _, one := range refused {
			failures = append(failures, one)
			if !waited && (errors.Is(one, context.DeadlineExceeded) || errors.Is(one, os.ErrDeadlineExceeded)) {
				// A replica that is left out is removed by HDFS, so one that may only be slow
				// is asked again. Another recovery would wait for it for much longer.
				r.waited = true
				continue
			}
			without(block, one.Node)
		}
		if len(block.GetLocations()) == 0 {
			break
		}
	}
	return nil, nil, fmt.Errorf("%w: %w", errSyncBroken, errors.Join(failures...))
}

// follow tells the NameNode under which stamp which DataNodes have the block now.
func (s *Store) follow(ctx context.Context, f file, block *wire.LocatedBlock, stamped *wire.ExtendedBlock) error {
	var ids []*wire.DatanodeID
	for _, node := range block.GetLocations() {
		ids = append(ids, node.GetId())
	}
	return s.names.UpdatePipeline(ctx, &wire.UpdatePipelineRequest{
		ClientName: &f.holder, OldBlock: block.GetBlock(), NewBlock: stamped, NewNodes: ids, StorageIds: block.GetStorageIds(),
	})
}

// without takes a DataNode out of a block's locations.
func without(block *wire.LocatedBlock, node *wire.DatanodeInfo) {
	for i, other := range block.Locations {
		if uuidOf(other) != uuidOf(node) {
			continue
		}
		block.Locations = append(block.Locations[:i:i], block.Locations[i+1:]...)
		block.StorageTypes = append(block.StorageTypes[:i:i], block.StorageTypes[i+1:]...)
		block.StorageIds = append(block.StorageIds[:i:i], block.StorageIds[i+1:]...)
		return
	}
}
