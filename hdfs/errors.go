package hdfs

import (
	"errors"
	"fmt"
	"strings"

	"github.com/talos-log/talos/hdfs/internal/namenode"
	"github.com/talos-log/talos/hdfs/internal/rpc"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// explain turns what HDFS answered into the contract's errors, or into one of
// the table that says what to do.
func (s *Store) explain(op, path string, err error) error {
	var known *talos.Error
	advice := s.advice(err)
	switch {
	case errors.As(err, &known), errors.Is(err, storage.ErrNotFound), errors.Is(err, storage.ErrExists):
		return err
	case isContextError(err) && advice == "":
		// What it waited for is not known. Else the caller's patience ended first.
		return err
	case exists(err) && op == "create":
		return fmt.Errorf("hdfs: %s %s: %w: %w", op, path, storage.ErrExists, err)
	case errors.Is(err, namenode.ErrNotFound):
		return fmt.Errorf("hdfs: %s %s: %w: %w", op, path, storage.ErrNotFound, err)
	case errors.Is(err, rpc.ErrKerberos):
		return userError(talos.InvalidConfig, op, path, "the cluster wants Kerberos, which Talos does not offer yet: use one with simple authentication", err)
	}
	return userError(talos.StoreUnavailable, op, path, advice, err)
}

// advice says what to do about an answer of the NameNode.
func (s *Store) advice(err error) string {
	at := strings.Join(s.namenodes, ", ")
	switch {
	case errors.Is(err, namenode.ErrSafeMode):
		return "the NameNode is in safe mode: it is starting and waits for its DataNodes, or somebody set it so; see `hdfs dfsadmin -safemode get`"
	case errors.Is(err, namenode.ErrPermission):
		return fmt.Sprintf("the user %q may not do that: make the folder %s and give it to this user (hdfs dfs -mkdir -p, hdfs dfs -chown), or set HADOOP_USER_NAME", s.user, s.root)
	case errors.Is(err, namenode.ErrTooFewNodes):
		return fmt.Sprintf("the NameNode has no DataNode to offer, %d are needed: see `hdfs dfsadmin -report`", s.minReplicas)
	case errors.Is(err, rpc.ErrProtocol):
		return fmt.Sprintf("what answers at %s is no NameNode: check the address (its RPC port, usually 8020 or 9000)", at)
	case errors.Is(err, rpc.ErrNotSent):
		return fmt.Sprintf("no NameNode answers at %s: check the address (its RPC port, usually 8020 or 9000), and that it runs", at)
	default:
		return ""
	}
}
