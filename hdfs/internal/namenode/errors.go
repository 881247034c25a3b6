package namenode

import (
	"errors"
	"fmt"
	"strings"

	"github.com/talos-log/talos/hdfs/internal/rpc"
)

// Kinds of failure, for errors.Is. The *rpc.RemoteError, if the NameNode threw
// one, stays in the chain.
var (
	// ErrNotFound: no such file or folder.
	ErrNotFound = errors.New("no such file or folder")
	// ErrExists: the name is taken by a file that is closed, or of another client.
	ErrExists = errors.New("it exists already")
	// ErrBeingCreated: the file is open, or just being recovered.
	ErrBeingCreated = errors.New("the file is being written")
	// ErrLease: the caller no longer may write the file. Another client does, or
	// it is closed.
	ErrLease = errors.New("the file is no longer ours to write")
	// ErrSafeMode: the NameNode changes nothing now.
	ErrSafeMode = errors.New("the NameNode is in safe mode")
	// ErrPermission: the user may not do that.
	ErrPermission = errors.New("permission denied")
	// ErrNotEmpty: the folder has something in it.
	ErrNotEmpty = errors.New("the folder is not empty")
	// ErrTooFewNodes: no DataNode can take the block.
	ErrTooFewNodes = errors.New("too few DataNodes can take a block")
	// ErrStandby: none of the NameNodes is the active one.
	ErrStandby = errors.New("the NameNode is not the active one")
	// ErrNotYet: the NameNode waits for the DataNodes' reports of a block.
	ErrNotYet = errors.New("the NameNode has not heard of the file's last block yet")
	// ErrUnavailable: the call got no answer, though it was repeated. It may
	// succeed later; whether it was carried out is unknown.
	ErrUnavailable = errors.New("the NameNode can't be reached")
)

// kinds are told by the short name of the Java class.
var kinds = map[string]error{
	"FileNotFoundException":            ErrNotFound,
	"FileAlreadyExistsException":       ErrExists,
	"AlreadyBeingCreatedException":     ErrBeingCreated,
	"RecoveryInProgressException":      ErrBeingCreated,
	"LeaseExpiredException":            ErrLease,
	"UnregisteredNodeException":        ErrLease,
	"SafeModeException":                ErrSafeMode,
	"AccessControlException":           ErrPermission,
	"PathIsNotEmptyDirectoryException": ErrNotEmpty,
	"StandbyException":                 ErrStandby,
	"ObserverRetryOnActiveException":   ErrStandby,
}

// explain adds its kind to an exception.
func explain(err error) error {
	var remote *rpc.RemoteError
	if !errors.As(err, &remote) {
		return err
	}
	if kind := kindOf(remote); kind != nil {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}

func kindOf(e *rpc.RemoteError) error {
	if wrapsSafeMode(e) {
		return ErrSafeMode
	}
	if isBelowFile(e) {
		return ErrNotFound
	}
	if kind := kinds[e.ShortClass()]; kind != nil {
		return kind
	}
	// These are plain IOExceptions.
	switch {
	case strings.Contains(e.Line(), "minReplication nodes"):
		return ErrTooFewNodes
	case strings.Contains(e.Line(), "is not sufficiently replicated yet"), // closed by a recovery
		strings.Contains(e.Line(), "is COMMITTED but not COMPLETE"): // closed by its writer
		return ErrNotYet
	case strings.Contains(e.Line(), "is not under construction"), // closed
		strings.Contains(e.Line(), "but not UNDER_CONSTRUCTION"): // being recovered or closed
		return ErrLease
	}
	return nil
}

// isBelowFile: a path that goes on below a file leads nowhere, but NameNodes call
// that a matter of access. (For a create they throw something else.)
func isBelowFile(e *rpc.RemoteError) bool {
	return e.ShortClass() == "AccessControlException" && strings.Contains(e.Line(), "(is not a directory)")
}

// wrapsSafeMode: a NameNode of a pair that is starting says that it may be asked
// again, and why.
func wrapsSafeMode(e *rpc.RemoteError) bool {
	return e.ShortClass() == "RetriableException" && strings.Contains(e.Message, "SafeModeException")
}
