package hdfs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/datanode"
	"github.com/talos-log/talos/hdfs/internal/namenode"
	"github.com/talos-log/talos/hdfs/internal/wire"
	"github.com/talos-log/talos/storage"
)

const (
	// completeFirst and completeMost are the pauses between two questions whether
	// the NameNode has heard of the last block. DataNodes report at once.
	completeFirst = time.Millisecond
	completeMost  = 200 * time.Millisecond
)

// appender writes one segment.
type appender struct {
	store *Store
	file  file
	// located is the block with its DataNodes.
	located *wire.LocatedBlock
	writer  *datanode.Writer
	sync    bool
	ticket  *ticket

	ended  atomic.Bool // sealed or given up
	ending sync.Once
	broken sync.Once
}

// Append sends p to every DataNode. What can't be stored anymore is answered in
// order, behind what is in flight.
func (a *appender) Append(p []byte, done func(error)) {
	a.ticket.use()
	a.writer.Append(p, a.sync, func(err error) {
		if err != nil {
			a.failed()
			err = fmt.Errorf("%w: %w", storage.ErrDead, err)
		}
		done(err)
	})
}

// failed blames the DataNodes, once.
func (a *appender) failed() {
	a.broken.Do(func() {
		if culprits := a.writer.Culprits(); len(culprits) > 0 {
			a.store.metrics.broken.Inc()
			a.store.blame(a.writer)
		}
	})
}

// Roll asks for another segment when too many are open, and once there are
// DataNodes for all replicas.
func (a *appender) Roll() <-chan struct{} { return a.ticket.roll }

// Seal closes the file at its acknowledged length, all of it synced.
func (a *appender) Seal(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if a.ended.Swap(true) {
		return fmt.Errorf("%w: seal %s: it was sealed or given up", storage.ErrDead, a.file.path)
	}
	if !a.sync {
		// What is sealed is synced, also what was acknowledged when it was flushed. A
		// failure shows in Finish.
		a.writer.Sync(func(error) {})
	}
	err := a.writer.Finish(ctx)
	if err == nil {
		a.store.step(BlockEnded)
		err = complete(ctx, a.store.names, a.file, a.located.GetBlock(), a.writer.Acknowledged())
	}
	if err == nil {
		a.store.step(FileClosed)
		err = a.store.unmark(ctx, a.file.path)
	}
	a.end()
	if err != nil {
		return fmt.Errorf("%w: seal %s: %w", storage.ErrDead, a.file.path, err)
	}
	return nil
}

// complete tells the NameNode the length, again until it has heard the same
// from a DataNode.
func complete(ctx context.Context, names *namenode.Client, f file, block *wire.ExtendedBlock, length int64) error {
	last := proto.CloneOf(block)
	last.NumBytes = proto.Uint64(uint64(length))
	for pause := completeFirst; ; pause = min(2*pause, completeMost) {
		closed, err := names.Complete(ctx, &wire.CompleteRequest{Src: &f.path, ClientName: &f.holder, FileId: &f.id, Last: last})
		if err != nil || closed {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.Join(errors.New("the NameNode has not heard of the last block from any DataNode"), context.Cause(ctx))
		}
	}
}

// Abandon lets go of the file, which stays under construction. What DataNodes have
// broken, a Recover of this store can close on the others.
func (a *appender) Abandon() {
	ended := a.ended.Swap(true)
	a.writer.Abandon()
	if !ended {
		a.store.leftovers.keep(a)
	}
	a.end()
}

// end gives back what an open segment holds.
func (a *appender) end() {
	a.ending.Do(func() {
		a.store.lease.Release()
		a.store.open.leave(a.ticket)
	})
}
