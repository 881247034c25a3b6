package hdfs_test

import (
	"testing"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/storagetest"
)

func TestTheStoreKeepsTheContract(t *testing.T) {
	cluster := running(t)
	storagetest.Run(t, func(t *testing.T) storage.Store { return openStore(t, storeURL(t, cluster)) })
}
