package faults_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/talos"
)

const (
	diskSize   = "8m"
	fillerSize = 5 << 20
	valueSize  = 100_000
)

// smallDisk mounts a file system of diskSize, for which the test must be root.
func smallDisk(t *testing.T) string {
	t.Helper()
	disk := t.TempDir()
	require.NoError(t, syscall.Mount("tmpfs", disk, "tmpfs", 0, "size="+diskSize),
		"a small tmpfs can't be mounted; this test needs root, in a container CAP_SYS_ADMIN")
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, 0)) })
	return disk
}

// The disk is full for a while. Opening the partition needs no space, so that
// what there is can be read though the node is restarted meanwhile.
func TestDiskFull(t *testing.T) {
	disk := smallDisk(t)
	filler := filepath.Join(disk, "filler")
	require.NoError(t, os.WriteFile(filler, make([]byte, fillerSize), 0o600))
	store, err := local.Open(filepath.Join(disk, "store"), local.Options{})
	require.NoError(t, err)
	r := newRig(t, store, 1<<20)
	l := r.open()
	p := newProducer(t, 1, valueSize)

	var full error
	for full == nil {
		full = p.round(l, len(p.bases)+talos.DuplicateWindow)
	}
	requireFull(t, full)
	acked := len(p.bases)
	require.Greater(t, acked, 20, "the disk was full too early to have rolled")
	for range 12 { // longer than the log refuses without an attempt of its own
		<-time.After(retryPause)
		requireFull(t, p.round(l, acked+talos.DuplicateWindow))
	}
	require.Len(t, p.bases, acked)
	requireStored(t, l, 0, p)

	l = r.reopen(l)
	stored(t, l, 0, p)
	requireFull(t, p.round(l, acked+talos.DuplicateWindow))

	require.NoError(t, os.Remove(filler))
	require.Eventually(t, func() bool { return p.round(l, len(p.bases)+1) == nil }, time.Minute, retryPause,
		"there is space again")
	p.deliver(l, acked+20)
	require.NoError(t, l.Err())
	requireStored(t, l, 0, p)
	requireStored(t, r.reopen(l), 0, p)
}

func requireFull(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, talos.StoreUnavailable)
	require.ErrorIs(t, err, syscall.ENOSPC)
}
