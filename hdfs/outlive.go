package hdfs

import (
	"context"
	"errors"
	"os"
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

// outlives tells whether the NameNode may be asked to recover the block now. It
// hands a block's recovery to one DataNode, and to no other one for 30 heartbeats:
// should that one be dead, nothing happens meanwhile, even if all of them are back
// at once. It takes the one that it heard of last, of those that it did not take
// before. So outlives ends the writer, and waits until the NameNode has heard of a
// DataNode that answers later than of those that don't; and while none answers,
// it says no.
func (r *recovery) outlives(ctx context.Context, once bool) bool {
	blocks, err := r.store.names.GetBlockLocations(ctx, r.file.path)
	if err != nil || len(blocks.GetLastBlock().GetLocations()) == 0 || blocks.GetIsLastBlockComplete() {
		return true // the NameNode knows better, or does without DataNodes
	}
	nodes := blocks.GetLastBlock().GetLocations()
	states := r.halt(ctx, blocks.GetLastBlock())
	if states.count(dead) == len(nodes) {
		if !r.forsaken && ctx.Err() == nil {
			r.forsaken = true
			r.store.log.Warn("a segment is not recovered while none of its DataNodes answers: start them",
				"segment", r.file.path, "datanodes", r.nodes(ctx))
		}
		return false
	}
	if len(states) == 0 {
		return true
	}
	r.outlive(ctx, states, once)
	// The wait was long: who lived may be dead now.
	for _, node := range nodes {
		if states[uuidOf(node)] != dead && !datanode.Listens(ctx, r.store.writing(r.file.holder), node) {
			return false
		}
	}
	return true
}

// state is what is known of a DataNode that did not halt the writer.
type state int

const (
	// halted: it did.
	halted state = iota
	// unwilling: it answers. If it was just started, the NameNode may not know yet.
	unwilling
	dead
)

// states are those of DataNodes by uuid; halted ones are left out.
type states map[string]state

func (s states) count(which state) (n int) {
	for _, one := range s {
		if one == which {
			n++
		}
	}
	return n
}

// halt ends the writer gently, so that all replicas take part in the recovery.
// What does not obey, the recovery ends.
func (r *recovery) halt(ctx context.Context, block *wire.LocatedBlock) states {
	c := r.store.writing(r.file.holder)
	all := states{}
	for _, one := range datanode.Halt(ctx, c, block) {
		r.store.log.Debug("the writer of a segment was not halted", "segment", r.file.path, "error", one)
		all[uuidOf(one.Node)] = unwilling
		// One that is stopped still listens.
		if isTimeout(one) || !datanode.Listens(ctx, c, one.Node) {
			all[uuidOf(one.Node)] = dead
			if ctx.Err() == nil {
				// The next segment must not wait for it once more.
				r.store.suspect(one.Node, one.Err)
			}
		}
	}
	return all
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// outlive waits until outlived, for outliveLimit at most.
func (r *recovery) outlive(ctx context.Context, s states, once bool) {
	first := map[string]uint64{}
	for begun := time.Now(); time.Since(begun) < outliveLimit; {
		blocks, err := r.store.names.GetBlockLocations(ctx, r.file.path)
		if err != nil || outlived(blocks.GetLastBlock().GetLocations(), s, first, once) {
			return
		}
		select {
		case <-time.After(outlivePause):
		case <-ctx.Done():
			return
		}
	}
}

// outlived tells whether waiting is over: the one that the NameNode has heard of
// last is fit for the recovery, or it goes on hearing of a dead one, which then
// lives. Unless it is asked once, all that live must be fit and heard of later than
// the dead, since it may have taken some before. An unwilling one is fit when the
// NameNode has heard of it since the first look, which first keeps.
func outlived(nodes []*wire.DatanodeInfo, s states, first map[string]uint64, once bool) bool {
	last, fit := map[bool]uint64{}, 0
	for _, node := range nodes {
		at, uuid := node.GetLastUpdateMonotonic(), uuidOf(node)
		before, seen := first[uuid]
		if !seen {
			first[uuid] = at
		}
		news := seen && at > before
		if s[uuid] == dead && news {
			return true
		}
		isFit := s[uuid] == halted || s[uuid] == unwilling && news
		last[isFit] = max(last[isFit], at)
		if isFit {
			fit++
		}
	}
	if once || len(nodes) == 0 {
		return last[true] > last[false] || len(nodes) == 0
	}
	for _, node := range nodes {
		if s[uuidOf(node)] != dead && node.GetLastUpdateMonotonic() <= last[false] {
			return false
		}
	}
	return fit+s.count(dead) == len(nodes)
}
