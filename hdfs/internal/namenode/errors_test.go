package namenode

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs/internal/rpc"
)

// allKinds are those that exceptions can have.
var allKinds = []error{
	ErrNotFound, ErrExists, ErrBeingCreated, ErrLease, ErrSafeMode, ErrPermission, ErrNotEmpty, ErrTooFewNodes, ErrNotYet, ErrStandby, ErrUnavailable,
}

func TestExceptionsHaveKinds(t *testing.T) {
	const protocol = "org.apache.hadoop.hdfs.protocol."
	for _, test := range []struct {
		class, message string
		kind           error
	}{
		{"java.io.FileNotFoundException", "File does not exist: /a", ErrNotFound},
		{"org.apache.hadoop.fs.FileAlreadyExistsException", "/a for client 127.0.0.1 already exists", ErrExists},
		{protocol + "AlreadyBeingCreatedException", "Failed to CREATE_FILE /a", ErrBeingCreated},
		{protocol + "RecoveryInProgressException", "Failed to APPEND_FILE /a", ErrBeingCreated},
		{"org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException", "No lease on /a", ErrLease},
		{protocol + "UnregisteredNodeException", "who", ErrLease},
		{"org.apache.hadoop.hdfs.server.namenode.SafeModeException", "Cannot create file /a. Name node is in safe mode.\nmore", ErrSafeMode},
		{"org.apache.hadoop.security.AccessControlException", "Permission denied: user=kai", ErrPermission},
		{"org.apache.hadoop.security.AccessControlException", "/a/file (is not a directory)", ErrNotFound},
		{"org.apache.hadoop.fs.PathIsNotEmptyDirectoryException", "`/a is non empty': Directory is not empty", ErrNotEmpty},
		{"java.io.IOException", "File /a could only be written to 0 of the 1 minReplication nodes. There are 0 datanode(s) running", ErrTooFewNodes},
		{"java.io.IOException", "blk_1 does not exist or is not under construction null", ErrLease},
		{"java.io.IOException", "append: lastBlock=blk_1_2 of src=/a is not sufficiently replicated yet.", ErrNotYet},
		{"java.io.IOException", "something else\n\tat minReplication nodes", nil},
		{"java.lang.NullPointerException", "", nil},
	} {
		t.Run(test.class, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, w := start(t, 1, always(thrown(test.class, test.message)))
				_, err := c.IsFileClosed(t.Context(), "/a")
				var remote *rpc.RemoteError
				require.ErrorAs(t, err, &remote)
				require.Equal(t, rpc.RemoteError{Class: test.class, Message: test.message}, *remote)
				for _, kind := range allKinds {
					require.Equal(t, errors.Is(test.kind, kind), errors.Is(err, kind), kind)
				}
				require.Len(t, w.seen(), 1, "it is final")
			})
		})
	}
}
