package chaos

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/minio"
)

// StoreKind is where a history's segments are.
type StoreKind string

// The stores.
const (
	Local StoreKind = "local"
	S3    StoreKind = "s3"
	HDFS  StoreKind = "hdfs"
)

// backing is a store that all nodes of a world share.
type backing struct {
	kind StoreKind
	// address is host:port of the server that nodes go to through a link; empty if
	// there is none.
	address string
	// location is what --store takes, for a link's address.
	location func(address string) string
	// env is added to the nodes' environment.
	env []string
	// server and cluster run it; nil where there is none.
	server  *minio.Server
	cluster *hadoop.Cluster
}

// newBacking opens a store of the test's own, empty. Servers are shared by the
// tests of a process.
func newBacking(t *testing.T, kind StoreKind) backing {
	t.Helper()
	name := "chaos-" + strings.ToLower(rand.Text()[:12])
	switch kind {
	case S3:
		s := minio.Shared(t)
		require.NoError(t, s.MakeBucket(t.Context(), name))
		return backing{
			kind: kind, address: s.Address, server: s,
			location: func(address string) string { return minio.StoreURL(address, name, "chaos").String() },
			env:      []string{"AWS_ACCESS_KEY_ID=" + minio.AccessKey, "AWS_SECRET_ACCESS_KEY=" + minio.SecretKey},
		}
	case HDFS:
		c := hadoop.ForTest(t)
		t.Cleanup(func() { c.Restore(t) })
		u, err := url.Parse(c.URL())
		require.NoError(t, err)
		return backing{
			kind: kind, address: u.Host, cluster: c,
			location: func(address string) string { return fmt.Sprintf("hdfs://%s/%s?%s", address, name, hadoop.SmallBlocks) },
		}
	default:
		folder := t.TempDir()
		return backing{kind: kind, location: func(string) string { return "file://" + folder }}
	}
}
