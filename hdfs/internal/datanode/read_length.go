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
// writer. Once one has answered, the others get little more time. It fails with a
// *ReplicasError if none of them said any, ErrReadsClosed, or the cause of the end
// of ctx.
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
	nodes := block.GetLocations()
	answers := make(chan lengthAnswer, len(nodes))
	for _, node := range nodes {
		asking.Go(func() {
			length, err := r.length(ctx, node, block.GetBlock())
			answers <- lengthAnswer{node: node, length: length, err: err}
		})
	}
	least, failed := int64(-1), &ReplicasError{Block: block.GetBlock()}
	var late <-chan time.Time
	for range nodes {
		select {
		case a := <-answers:
			if a.err != nil {
				failed.add(a.node, lengthReason(a.err), a.err)
				continue
			}
			if least < 0 {
				least, late = a.length, time.After(lengthGrace)
			}
			least = min(least, a.length)
		case <-late:
			return least, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	if least < 0 {
		return 0, failed
	}
	return least, nil
}

type lengthAnswer struct {
	node   *wire.DatanodeInfo
	length int64
	err    error
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
