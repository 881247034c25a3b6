package hdfs_test

import (
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/test/model/histories"
)

// slower is how many times fewer histories are drawn than over other stores.
const slower = 16

// Random histories of a partition, held against a plain list.
func TestRandomHistoriesKeepEveryPromise(t *testing.T) {
	t.Parallel()
	cluster := running(t)
	histories.DrawFewer(t, histories.Kind{Name: "hdfs in real time", Open: func(r require.TestingT) (storage.Store, func()) {
		s, err := open(t, cluster.Store("random-histories/"+rand.Text()), hdfs.Options{})
		require.NoError(r, err)
		return s, func() { require.NoError(r, s.Close()) }
	}}, slower)
}
