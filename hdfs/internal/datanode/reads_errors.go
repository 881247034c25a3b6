package datanode

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// Why a replica was not read.
const (
	// ReasonConnect: its DataNode could not be reached.
	ReasonConnect = "connect"
	// ReasonTimeout: it did not answer, or stopped to send.
	ReasonTimeout = "timeout"
	// ReasonChecksum: what it sent does not match its checksums.
	ReasonChecksum = "checksum"
	// ReasonMissing: the DataNode does not have the replica, or not all that was
	// asked of it.
	ReasonMissing = "missing"
	// ReasonError is anything else: it refused, or the connection broke.
	ReasonError = "error"
)

var (
	// ErrDamaged means that every replica of the block was sent, and none matches
	// its checksums.
	ErrDamaged = errors.New("every replica is damaged")
	// ErrMissing means that no DataNode that should have the block has what was
	// asked for.
	ErrMissing = errors.New("no replica has it")
	// ErrReadsClosed means that the Reads were closed.
	ErrReadsClosed = errors.New("block reads are closed")

	errChecksum = errors.New("checksum mismatch")
	errShort    = errors.New("the replica ends too early")
)

// ReplicaError says why one replica was not read.
type ReplicaError struct {
	NodeError
	// Reason is one of the constants above.
	Reason string
}

// ReplicasError says why none of a block's replicas was read. It unwraps to none
// of its parts, since a DataNode's time-out must not pass for the caller's;
// errors.Is finds ErrDamaged or ErrMissing if that is true of all of them.
type ReplicasError struct {
	Block *wire.ExtendedBlock
	// Replicas are in the order of the attempts; empty if the block has none.
	Replicas []*ReplicaError
}

func (e *ReplicasError) Error() string {
	if len(e.Replicas) == 0 {
		return fmt.Sprintf("block %d: no DataNode is known to have it", e.Block.GetBlockId())
	}
	each := make([]string, len(e.Replicas))
	for i, one := range e.Replicas {
		each[i] = one.Error()
	}
	return fmt.Sprintf("block %d: no replica could be read: %s", e.Block.GetBlockId(), strings.Join(each, "; "))
}

func (e *ReplicasError) add(node *wire.DatanodeInfo, reason string, err error) {
	e.Replicas = append(e.Replicas, &ReplicaError{NodeError: NodeError{Node: node, Err: err}, Reason: reason})
}

// Is finds the kinds that all replicas share.
func (e *ReplicasError) Is(target error) bool {
	switch target {
	case ErrDamaged:
		return e.all(ReasonChecksum)
	case ErrMissing:
		return e.all(ReasonMissing)
	}
	return false
}

func (e *ReplicasError) all(reason string) bool {
	for _, one := range e.Replicas {
		if one.Reason != reason {
			return false
		}
	}
	return len(e.Replicas) > 0
}

// dialError is a failure to connect.
type dialError struct{ err error }

func (e *dialError) Error() string { return "connect: " + e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// reasonOf sorts what a DataNode did to a read.
func reasonOf(err error) string {
	var dialling *dialError
	var refused *StatusError
	var network net.Error
	switch {
	case errors.As(err, &dialling):
		return ReasonConnect
	case errors.Is(err, errChecksum):
		return ReasonChecksum
	case errors.Is(err, errShort), errors.As(err, &refused) && hasNot(refused.Message):
		return ReasonMissing
	case errors.As(err, &network) && network.Timeout():
		return ReasonTimeout
	}
	return ReasonError
}

// hasNot tells a DataNode that lacks the replica, or a part of it: the status is
// ERROR for everything, so its words must do.
func hasNot(message string) bool {
	for _, words := range []string{
		"ReplicaNotFoundException",
		"is not valid.",     // it has lost the file
		"don't match block", // a finished replica that is shorter
		"bytes available",   // one being written that is shorter, also after 3 s
	} {
		if strings.Contains(message, words) {
			return true
		}
	}
	return false
}
