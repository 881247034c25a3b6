package hdfs

import (
	"context"
	"errors"
	"fmt"

	"github.com/talos-log/talos/hdfs/internal/datanode"
	"github.com/talos-log/talos/hdfs/internal/namenode"
	"github.com/talos-log/talos/hdfs/internal/wire"
	"github.com/talos-log/talos/talos"
)

// maxPlacements is how many blocks are tried for a file before giving up. Each
// leaves out the DataNodes that failed before.
const maxPlacements = 5

// reserveBytes is what a DataNode sets aside for an open block. Most segments end
// shorter than their block is, many much shorter: to set all of it aside would
// fill a disk with nothing. A DataNode whose disk does run full breaks the segment,
// and the next one is on others.
const reserveBytes = 16 << 20

// file is a file that this store writes.
type file struct {
	path string
	// holder is the lease holder's name.
	holder string
	id     uint64
}

// placed is a file's block with a connection to every one of its DataNodes.
type placed struct {
	block  *wire.LocatedBlock
	writer *datanode.Writer
}

// placing says how a file's block is placed.
type placing struct {
	file file
	// leaveOut are the DataNodes that shall have no part in it, if there are others.
	leaveOut []*wire.DatanodeInfo
	setup    datanode.Setup
	step     func(Step)
	// slow, if not nil, is told of a DataNode that the appends wait for.
	slow onSlow
}

// place allocates the file's block and connects to every DataNode of it. Blocks
// with a DataNode that can't be reached are given back: nothing in them was
// acknowledged.
func (s *Store) place(ctx context.Context, p placing) (placed, error) {
	f, leaveOut := p.file, p.leaveOut
	writing := s.writing(f.holder)
	writing.OnSlow = p.slow
	var failed []*wire.DatanodeInfo
	var failures []error
	for range maxPlacements {
		block, err := s.allocate(ctx, f, append(leaveOut[:len(leaveOut):len(leaveOut)], failed...))
		switch {
		case errors.Is(err, errTooFew) && len(leaveOut) > 0:
			// Better one that may fail again than none.
			leaveOut = nil
			continue
		case errors.Is(err, errTooFew):
			return placed{}, tooFewReplicas(f.path, s.room(err), errors.Join(failures...))
		case err != nil:
			return placed{}, err
		}
		p.step(BlockAllocated)
		writer, refused := datanode.Connect(ctx, writing, block, p.setup)
		if len(refused) == 0 {
			return placed{block: block, writer: writer}, nil
		}
		for _, one := range refused {
			if ctx.Err() == nil {
				s.suspect(one.Node, one.Err)
			}
			failed = append(failed, one.Node)
			failures = append(failures, one)
		}
		if err := s.giveBack(ctx, f, block); err != nil {
			return placed{}, err
		}
	}
	return placed{}, tooFewReplicas(f.path, fmt.Sprintf("%d blocks were tried", maxPlacements), errors.Join(failures...))
}

// room adds to errTooFew what a DataNode must have, for that it is dead is not the
// only reason why the NameNode does not offer it.
func (s *Store) room(err error) string {
	return fmt.Sprintf("%v; one with less free space than %d MiB, and as much for each segment opened within 20 minutes, is not offered (block-mib=N in the store's URL makes it less)",
		err, s.blockBytes>>20)
}

// errTooFew: the NameNode has fewer DataNodes to offer than must be written.
var errTooFew = errors.New("too few DataNodes")

// allocate asks for a block of at least minReplicas DataNodes.
func (s *Store) allocate(ctx context.Context, f file, exclude []*wire.DatanodeInfo) (*wire.LocatedBlock, error) {
	block, err := s.names.AddBlock(ctx, &wire.AddBlockRequest{
		Src: &f.path, ClientName: &f.holder, FileId: &f.id, Exclude: exclude,
		Flags: []wire.AddBlockFlag{wire.AddBlockFlag_NO_LOCAL_WRITE},
	})
	if errors.Is(err, namenode.ErrTooFewNodes) {
		return nil, fmt.Errorf("%w: none can be written, %d must be", errTooFew, s.minReplicas)
	}
	if err != nil {
		return nil, err
	}
	if n := len(block.GetLocations()); n < s.minReplicas {
		if err := s.giveBack(ctx, f, block); err != nil {
			return nil, err
		}
		return nil, tooFew(n, s.minReplicas)
	}
	return block, nil
}

func tooFew(offered, must int) error {
	return fmt.Errorf("%w: %d can be written, %d must be", errTooFew, offered, must)
}

// giveBack abandons a block in which nothing is acknowledged. With anything
// acknowledged it would destroy that.
func (s *Store) giveBack(ctx context.Context, f file, block *wire.LocatedBlock) error {
	return s.names.AbandonBlock(ctx, &wire.AbandonBlockRequest{Block: block.GetBlock(), Src: &f.path, Holder: &f.holder, FileId: &f.id})
}

// suspect notes that a DataNode failed, of which every segment tells that it has a
// part in: it counts once while it is left out.
func (s *Store) suspect(node *wire.DatanodeInfo, err error) {
	if !s.nodes.add(node) {
		s.log.Debug("DataNode that is left out failed", "datanode", address(node), "error", err)
		return
	}
	s.metrics.nodeFailures.Inc()
	s.log.Warn("DataNode failed, left out for a while", "datanode", address(node), "error", err)
}

func (s *Store) writing(holder string) datanode.Config {
	return datanode.Config{ClientName: holder, UseHostname: s.useHostname}
}

func address(node *wire.DatanodeInfo) string {
	return fmt.Sprintf("%s:%d", node.GetId().GetIpAddr(), node.GetId().GetXferPort())
}

func tooFewReplicas(path, detail string, cause error) error {
	return userError(talos.TooFewReplicas, "write", path, detail, cause)
}
