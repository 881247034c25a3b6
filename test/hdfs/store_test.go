package hdfs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/storagetest"
	"github.com/talos-log/talos/talos"
)

func TestTheStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	cluster := running(t)
	storagetest.Run(t, func(t *testing.T) storage.Store {
		t.Helper()
		// Recoveries mostly wait for heartbeats.
		t.Parallel()
		return openStore(t, cluster.StoreForTest(t))
	})
}

// A path below a file leads nowhere: NameNodes have an error of their own for that.
func TestRemoveOfWhatIsBelowAFileSucceeds(t *testing.T) {
	t.Parallel()
	cluster := running(t)
	root := cluster.StoreForTest(t)
	s := openStore(t, root)
	g := create(t, s, root, "file", talos.Sync)
	require.NoError(t, s.Remove(t.Context(), storage.ID{Folder: "segments/file", Name: "below"}))
	g.mustAppend(10)
}
