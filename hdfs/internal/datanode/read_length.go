package datanode

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/talos-log/talos/hdfs/internal/rpc"
	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// lengthProtocol is the Java interface that DataNodes offer to clients.
	lengthProtocol = "org.apache.hadoop.hdfs.protocol.ClientDatanodeProtocol"
	// lengthTimeout bounds the question for a replica's length.
	lengthTimeout = 3 * time.Second
	// lengthGrace is how long the others are waited for once one has answered.
	lengthGrace = 300 * time.Millisecond
)

// errUnreadable is a replica that was being written when its DataNode restarted.
var errUnreadable = errors.New("the replica can't be read before a recovery of its file")

// VisibleLength asks all DataNodes of a block that is being written how much of it
// can be read, and returns the least that any of them said: so much can be read
// from each of those. It is never below what all of them have acknowledged to the
// writer. Once one has answered, the others get little more time, and those that
// failed lately none. It fails with a *ReplicasError if none of them said any,
// ErrReadsClosed, or the cause of the end of ctx.
func (r *Reads) VisibleLength(ctx context.Context, block *wire.LocatedBlock) (int64, error) {
	ctx, end, err := r.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := lengthQuestion{reads: r, block: block, awaited: map[*wire.DatanodeInfo]bool{}, least: -1}
	answers := make(chan lengthAnswer, len(block.GetLocations()))
	for _, node := range block.GetLocations() {
		if !r.health.ailing(node) {
			q.awaited[node] = true
		}
		asking.Go(func() {
			length, err := r.length(ctx, node, block.GetBlock())
			answers <- lengthAnswer{node: node, length: length, err: err}
		})
	}
	return q.decide(ctx, answers)
}

// lengthQuestion gathers what the DataNodes say of one block.
type lengthQuestion struct {
	reads *Reads
	block *wire.LocatedBlock
	// awaited are those whose answers are worth to be waited for.
	awaited map[*wire.DatanodeInfo]bool
	least   int64 // of the lengths; -1 if there is none
	failed  []*ReplicaError
}

type lengthAnswer struct {
	node   *wire.DatanodeInfo
	length int64
	err    error
}

func (q *lengthQuestion) decide(ctx context.Context, answers <-chan lengthAnswer) (int64, error) {
	var late <-chan time.Time
	for range q.block.GetLocations() {
		select {
		case a := <-answers:
			if ctx.Err() != nil {
				return 0, context.Cause(ctx) // which is no failure of that DataNode
			}
			q.take(a)
		case <-late:
			for node := range q.awaited {
				q.reads.health.failed(node, q.block.GetBlock(), ReasonTimeout)
			}
			return q.least, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		if q.least >= 0 && len(q.awaited) == 0 {
			return q.least, nil
		}
		if q.least >= 0 && late == nil {
			late = time.After(lengthGrace)
		}
	}
	if q.least < 0 {
		return 0, &ReplicasError{Block: q.block.GetBlock(), Replicas: q.failed}
	}
	return q.least, nil
}

// take counts an answer.
func (q *lengthQuestion) take(a lengthAnswer) {
	delete(q.awaited, a.node)
	switch {
	case a.err != nil:
		reason := lengthReason(a.err)
		if reason == ReasonConnect || reason == ReasonTimeout {
			q.reads.health.failed(a.node, q.block.GetBlock(), reason)
		}
		q.failed = append(q.failed, &ReplicaError{NodeError: NodeError{Node: a.node, Err: a.err}, Reason: reason})
	case q.least < 0 || a.length < q.least:
		q.least = a.length
	}
}

// length asks one DataNode, over a connection of its own: the question is rare.
func (r *Reads) length(ctx context.Context, node *wire.DatanodeInfo, block *wire.ExtendedBlock) (int64, error) {
	host, _, err := net.SplitHostPort(Address(node, r.config.UseHostname))
	if err != nil {
		return 0, err
	}
	client := rpc.New(rpc.Config{
		Address: net.JoinHostPort(host, strconv.FormatUint(uint64(node.GetId().GetIpcPort()), 10)), Protocol: lengthProtocol,
		User: r.config.User, Timeout: lengthTimeout, Dial: r.config.Dial,
	})
	defer client.Close()
	var answer wire.GetReplicaVisibleLengthResponse
	err = client.Call(ctx, rpc.Call{Method: "getReplicaVisibleLength"}, &wire.GetReplicaVisibleLengthRequest{Block: block}, &answer)
	if err != nil {
		return 0, err
	}
	// It is a long of Java, and negative if nothing may be read.
	if length := int64(answer.GetLength()); length >= 0 {
		return length, nil
	}
	return 0, errUnreadable
}

func lengthReason(err error) string {
	var remote *rpc.RemoteError
	switch {
	case errors.As(err, &remote) && remote.ShortClass() == "ReplicaNotFoundException":
		return ReasonMissing
	case errors.Is(err, rpc.ErrTimeout):
		return ReasonTimeout
	case errors.Is(err, rpc.ErrNotSent):
		return ReasonConnect
	}
	return ReasonError
}
