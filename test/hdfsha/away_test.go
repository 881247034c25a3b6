package hdfsha_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/scene"
)

const (
	// away is how long there is no NameNode: longer than a call is repeated for. To
	// start them takes a while, too.
	away = 22 * time.Second
	// appendEvery is how often something is appended meanwhile: as fast as it goes would
	// take the processors from the daemons that are started.
	appendEvery = 5 * time.Millisecond
	// maxMemory bounds what a node takes in that time, in bytes.
	maxMemory = 512 << 20
)

// Both NameNodes are killed under load, and are started again half a minute later.
// What is open for writing goes on meanwhile. What needs a NameNode is told that it
// may try again, the node's memory is bounded, and then everything goes on by
// itself. The first that they hear of when they are back is the recovery of segments
// whose first append was acknowledged just before: the DataNodes may not have told of
// them yet.
func TestTheNameNodesAreAwayForAWhile(t *testing.T) {
	cluster := running(t)
	store := openStore(t, cluster.StoreForTest(t))
	s := nodeScene(t, cluster)
	follower := s.Follow()
	// More than a segment takes waits for its answer.
	producers := produce(s, 20_000)
	open, err := store.Create(t.Context(), storage.ID{Folder: "segments", Name: "open"}, []byte("head"), talos.Sync)
	require.NoError(t, err)
	t.Cleanup(open.Abandon)
	s.AwaitNewAcks(s.History.Now(), settled)

	begun := []storage.ID{{Folder: "segments", Name: "synced"}, {Folder: "segments", Name: "flushed"}}
	justBegun(t, store, begun[0], talos.Sync)
	justBegun(t, store, begun[1], talos.Flush)
	died := time.Now()
	since := s.History.Now()
	cluster.NameNode().Kill(t)
	cluster.Standby().Kill(t)
	refused := inBackground(func() error {
		_, err := store.Create(t.Context(), storage.ID{Folder: "segments", Name: "late"}, []byte("head"), talos.Sync)
		return err
	})
	topic := inBackground(func() error { return createTopic(t, s, "another") })
	appended, slowest := appendsFor(t, open, away)
	require.NotZero(t, appended)
	for what, err := range map[string]error{"a segment": <-refused, "a topic": <-topic} {
		require.ErrorIs(t, err, talos.StoreUnavailable, what)
		require.True(t, talos.Retryable(err), what)
	}
	var recovered []<-chan error
	for _, id := range begun {
		recovered = append(recovered, inBackground(func() error { return recoverAtLast(t, store, id) }))
	}
	cluster.Restore(t)
	restored := time.Now()
	s.AwaitNewAcks(since, settled)
	t.Logf("NameNodes were away for %v; %d appends to an open segment meanwhile, the slowest took %v; partitions went on %v after they were back, the longest pause was %v",
		restored.Sub(died).Round(time.Millisecond), appended, slowest.Round(time.Millisecond),
		time.Since(restored).Round(time.Millisecond), s.History.LongestPause(died, time.Now()).Round(time.Millisecond))
	for _, one := range recovered {
		require.NoError(t, <-one)
	}
	require.NoError(t, open.Seal(t.Context()))
	s.AwaitNewAcks(s.History.Now(), settled)
	memory := s.Node.PeakMemory()
	t.Logf("the node took %d MiB at most", memory>>20)
	require.Less(t, memory, int64(maxMemory))
	s.Finish(producers, follower)
}

// appendsFor appends to a segment, one after the other, and returns how many that
// were, all of them acknowledged.
func appendsFor(t *testing.T, a storage.Appender, d time.Duration) (n int, slowest time.Duration) {
	t.Helper()
	ticker := time.NewTicker(appendEvery)
	defer ticker.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); n++ {
		<-ticker.C
		begun := time.Now()
		durable := make(chan error, 1)
		a.Append(bytes.Repeat([]byte("x"), 1000), func(err error) { durable <- err })
		require.NoError(t, <-durable, "appends need no NameNode")
		slowest = max(slowest, time.Since(begun))
	}
	return n, slowest
}

func createTopic(t *testing.T, s *scene.Scene, name talos.TopicName) error {
	client, err := sdk.Dial(s.Node.Address())
	if err != nil {
		return err
	}
	defer func() { require.NoError(t, client.Close()) }()
	_, err = client.CreateTopic(t.Context(), name, 1, talos.TopicConfig{})
	return err
}

// justBegun creates a segment, of which the first append is acknowledged when it
// returns.
func justBegun(t *testing.T, s *hdfs.Store, id storage.ID, d talos.Durability) {
	t.Helper()
	a, err := s.Create(t.Context(), id, []byte("head"), d)
	require.NoError(t, err)
	t.Cleanup(a.Abandon)
	durable := make(chan error, 1)
	a.Append([]byte("acknowledged"), func(err error) { durable <- err })
	require.NoError(t, <-durable)
}

// recoverAtLast recovers what justBegun has created, and tries again as long as that
// may help.
func recoverAtLast(t *testing.T, s *hdfs.Store, id storage.ID) error {
	for deadline := time.Now().Add(2 * patience); ; {
		info, err := s.Recover(t.Context(), id)
		switch {
		case err == nil && info.Size != int64(len("head")+len("acknowledged")):
			return fmt.Errorf("%v has %d bytes", id, info.Size)
		case err == nil, !talos.Retryable(err), time.Now().After(deadline):
			return err
		}
	}
}

// inBackground runs f, and returns what it will return.
func inBackground(f func() error) <-chan error {
	result := make(chan error, 1)
	go func() { result <- f() }()
	return result
}
