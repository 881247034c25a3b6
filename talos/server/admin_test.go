package server

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server/manifest"
)

func idOf(t *testing.T, topic *talosv1.Topic) talos.TopicID {
	t.Helper()
	id, err := topicID(topic.GetId())
	require.NoError(t, err)
	return id
}

func TestATopicIsCreatedDescribedAndListed(t *testing.T) {
	c := newCluster()
	n := c.start(t, "n1")
	created, err := n.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{
		Name: "logs", Partitions: 3, Config: &talosv1.TopicConfig{SegmentBytes: 1 << 20},
	})
	require.NoError(t, err)
	n.createTopic(t, "another", 1)

	listed, err := n.admin.ListTopics(t.Context(), &talosv1.ListTopicsRequest{})
	require.NoError(t, err)
	require.Len(t, listed.GetTopics(), 2)
	require.Equal(t, "another", listed.GetTopics()[0].GetName())
	require.Equal(t, created.GetTopic().GetId(), listed.GetTopics()[1].GetId())

	metadata, err := n.admin.Metadata(t.Context(), &talosv1.MetadataRequest{Topics: []string{"logs"}})
	require.NoError(t, err)
	require.Len(t, metadata.GetTopics(), 1)
	described := metadata.GetTopics()[0]
	require.Equal(t, int64(1<<20), described.GetTopic().GetConfig().GetSegmentBytes())
	require.Len(t, described.GetPartitions(), 3)
	require.Equal(t, int32(2), described.GetPartitions()[2].GetPartition())
	require.Equal(t, "n1", described.GetPartitions()[2].GetOwner())
	require.Equal(t, "n1.example:7070", metadata.GetNodes()[0].GetAddress())

	m, err := manifest.Latest(t.Context(), c.store, idOf(t, created.GetTopic()))
	require.NoError(t, err)
	require.Equal(t, talos.TopicName("logs"), m.Topic.Name)
	require.Equal(t, int32(3), m.Topic.Partitions)
	require.Equal(t, int64(1<<20), m.Topic.Config.SegmentBytes)
	require.False(t, m.Deleted)
}

func TestThePartitionsOfANewTopicOpenByThemselves(t *testing.T) {
	n := newCluster().start(t, "n1")
	n.createTopic(t, "logs", 3*maxOpening)
	require.Eventually(t, func() bool { return n.value(t, "talos_server_open_partitions") == 3*maxOpening }, patience, time.Millisecond)
}

func TestATopicThatCannotBeIsRefused(t *testing.T) {
	n := newCluster().start(t, "n1")
	n.createTopic(t, "taken", 1)
	for _, test := range []struct {
		name    string
		request *talosv1.CreateTopicRequest
		want    talos.Kind
	}{
		{"no name", &talosv1.CreateTopicRequest{Partitions: 1}, talos.InvalidTopicName},
		{"a path", &talosv1.CreateTopicRequest{Name: "a/b", Partitions: 1}, talos.InvalidTopicName},
		{"too long", &talosv1.CreateTopicRequest{Name: strings.Repeat("x", 250), Partitions: 1}, talos.InvalidTopicName},
		{"no partitions", &talosv1.CreateTopicRequest{Name: "a"}, talos.InvalidConfig},
		{"negative partitions", &talosv1.CreateTopicRequest{Name: "a", Partitions: -1}, talos.InvalidConfig},
		{"too many partitions", &talosv1.CreateTopicRequest{Name: "a", Partitions: talos.MaxPartitions + 1}, talos.InvalidConfig},
		{
			"small segments",
			&talosv1.CreateTopicRequest{Name: "a", Partitions: 1, Config: &talosv1.TopicConfig{SegmentBytes: 1}},
			talos.InvalidConfig,
		},
		{"taken", &talosv1.CreateTopicRequest{Name: "taken", Partitions: 1}, talos.TopicExists},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := n.admin.CreateTopic(t.Context(), test.request)
			require.Equal(t, string(test.want), detail(t, err).GetKind())
		})
	}
}

// Another node may create a topic while it loses the claim: this one learns of
// it by its name, and leaves no manifest behind when it wanted the name itself.
func TestATopicThatAnotherNodeCreatedIsKnown(t *testing.T) {
	c := newCluster()
	n := c.start(t, "n1")
	elsewhere := talos.Topic{Name: "logs", ID: talos.NewTopicID(), Partitions: 1}
	require.NoError(t, n.meta.CreateTopic(t.Context(), elsewhere, nil))

	_, err := n.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{Name: "logs", Partitions: 2})
	require.Equal(t, string(talos.TopicExists), detail(t, err).GetKind())
	listing, err := c.store.List(t.Context(), "")
	require.NoError(t, err)
	for _, folder := range listing.Folders {
		files, err := c.store.List(t.Context(), folder)
		require.NoError(t, err)
		require.Empty(t, files.Segments)
	}

	metadata, err := n.admin.Metadata(t.Context(), &talosv1.MetadataRequest{Topics: []string{"logs"}})
	require.NoError(t, err)
	require.Equal(t, elsewhere.ID[:], metadata.GetTopics()[0].GetTopic().GetId())
	n.producer(t).produce(metadata.GetTopics()[0].GetTopic(), 0, newBatch(t, "a"))
}

func TestNamesCreatedAtOnceGoToOne(t *testing.T) {
	n := newCluster().start(t, "n1")
	outcomes := make([]error, 8)
	var all sync.WaitGroup
	for i := range outcomes {
		all.Go(func() {
			_, outcomes[i] = n.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{Name: "logs", Partitions: 1})
		})
	}
	all.Wait()
	created := 0
	for _, err := range outcomes {
		if err == nil {
			created++
			continue
		}
		require.Equal(t, string(talos.TopicExists), detail(t, err).GetKind())
	}
	require.Equal(t, 1, created)
}

func TestAStoreThatFailsIsNamedAndTheNameStaysFree(t *testing.T) {
	c := newCluster()
	c.store = faulty.New(c.store, faulty.Rules(
		faulty.Rule{Op: faulty.Create, N: 1, Fault: faulty.Fault{Before: faulty.Fail(errors.New("disk full"))}},
		faulty.Rule{Op: faulty.Seal, N: 1, Fault: faulty.Fault{Before: faulty.Fail(errors.New("disk full"))}}))
	n := c.start(t, "n1")
	for range 2 {
		_, err := n.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{Name: "logs", Partitions: 1})
		e := detail(t, err)
		require.Equal(t, string(talos.StoreUnavailable), e.GetKind())
		require.Contains(t, e.GetMessage(), "disk full")
		require.ErrorContains(t, n.Ready(), "disk full")
	}
	n.producer(t).produce(n.createTopic(t, "logs", 1), 0, newBatch(t, "a"))
	require.NoError(t, n.Ready())
}

func TestADeletedTopicIsGoneAndItsNameFree(t *testing.T) {
	c := newCluster()
	n := c.start(t, "n1")
	old := n.createTopic(t, "logs", 2)
	p := n.producer(t)
	p.produce(old, 0, newBatch(t, "old"))
	p.produce(old, 1, newBatch(t, "old"))

	_, err := n.admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: "logs"})
	require.NoError(t, err)
	recreated := n.createTopic(t, "logs", 1)
	require.NotEqual(t, old.GetId(), recreated.GetId())
	require.Equal(t, int64(0), p.produce(recreated, 0, newBatch(t, "new")).GetBaseOffset())
	require.Equal(t, []string{"0 new"}, values(t, n.fetch(t, recreated.GetId(), 0, 0, 0).GetBatches()))

	require.Equal(t, "UnknownTopic", n.fetch(t, old.GetId(), 0, 0, patience).GetError().GetKind())
	c.awaitRemoved(t, n, idOf(t, old))
	p.send(old.GetId(), 0, newBatch(t, "late"))
	require.Equal(t, "UnknownTopic", p.receive().GetError().GetKind())

	_, err = n.admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: "other"})
	require.Equal(t, string(talos.UnknownTopic), detail(t, err).GetKind())
	_, err = n.admin.Metadata(t.Context(), &talosv1.MetadataRequest{Topics: []string{"logs", "other"}})
	require.Equal(t, string(talos.UnknownTopic), detail(t, err).GetKind())
}

// purging is a store that keeps something of what was removed from it.
type purging struct {
	storage.Store
	t *testing.T

	mu     sync.Mutex // guards purged
	purged []string
}

func (p *purging) Purge(_ context.Context, folder string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Empty(p.t, segmentsBelow(p.t, p.Store, folder), "what is removed before")
	p.purged = append(p.purged, folder)
	return nil
}

func TestTheFolderOfATopicThatIsGoneIsPurged(t *testing.T) {
	store := &purging{Store: mem.New(), t: t}
	c := newCluster()
	c.store = store
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 2)
	n.producer(t).produce(topic, 0, newBatch(t, "a"))

	_, err := n.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{Name: "logs", Partitions: 1})
	require.Equal(t, string(talos.TopicExists), detail(t, err).GetKind())
	store.mu.Lock()
	require.NotContains(t, store.purged, idOf(t, topic).String())
	store.mu.Unlock()
	_, err = n.admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: "logs"})
	require.NoError(t, err)
	c.awaitRemoved(t, n, idOf(t, topic))
	store.mu.Lock()
	defer store.mu.Unlock()
	require.Contains(t, store.purged, idOf(t, topic).String())
}

// The coordinator does what it is asked for, and its answer is lost: the change
// is found to have happened, and the client never hears of it.
func TestAnAnswerOfTheCoordinatorThatIsLostIsAskedForAgain(t *testing.T) {
	c := newCluster()
	n := c.start(t, "n1")
	c.loseAnswer.Store(true)
	topic := n.createTopic(t, "logs", 1)
	require.False(t, c.loseAnswer.Load())
	n.producer(t).produce(topic, 0, newBatch(t, "a"))

	c.loseAnswer.Store(true)
	_, err := n.admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: "logs"})
	require.NoError(t, err)
	require.False(t, c.loseAnswer.Load())
	c.awaitRemoved(t, n, idOf(t, topic))
	listed, err := n.admin.ListTopics(t.Context(), &talosv1.ListTopicsRequest{})
	require.NoError(t, err)
	require.Empty(t, listed.GetTopics())
}

// The coordinator goes away in the middle of a creation: the client is told so
// when its time is up. The topic came into being, and is served later.
func TestATopicWhoseCreationIsUncertainIsServedIfItExists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		n := c.start(t, "n1")
		c.thenAway.Store(true)
		c.loseAnswer.Store(true)
		_, err := n.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{Name: "logs", Partitions: 1})
		require.Equal(t, string(talos.MetaUnavailable), detail(t, err).GetKind())
		require.ErrorContains(t, n.Ready(), "no answer")

		c.away.Store(false)
		var listed *talosv1.ListTopicsResponse
		require.Eventually(t, func() bool {
			listed, err = n.admin.ListTopics(t.Context(), &talosv1.ListTopicsRequest{})
			require.NoError(t, err)
			return len(listed.GetTopics()) == 1
		}, time.Minute, time.Second)
		n.producer(t).produce(listed.GetTopics()[0], 0, newBatch(t, "a"))
		m, err := manifest.Latest(t.Context(), c.store, idOf(t, listed.GetTopics()[0]))
		require.NoError(t, err)
		require.Equal(t, talos.TopicName("logs"), m.Topic.Name)
		require.Eventually(t, func() bool { return n.Ready() == nil }, time.Minute, time.Second)
	})
}

// awaitRemoved waits until nothing of a topic is left in the store, nor in the
// coordinator.
func (c *cluster) awaitRemoved(t *testing.T, n *testNode, id talos.TopicID) {
	t.Helper()
	require.Eventually(t, func() bool {
		deleted, err := n.meta.Deleted(t.Context())
		require.NoError(t, err)
		return len(deleted) == 0
	}, patience, time.Millisecond)
	require.Empty(t, segmentsBelow(t, c.store, id.String()))
}

func segmentsBelow(t *testing.T, store storage.Store, folder string) []string {
	t.Helper()
	listing, err := store.List(t.Context(), folder)
	require.NoError(t, err)
	var all []string
	for _, info := range listing.Segments {
		all = append(all, folder+"/"+info.Name)
	}
	for _, sub := range listing.Folders {
		all = append(all, segmentsBelow(t, store, folder+"/"+sub)...)
	}
	return all
}

func TestALongPollEndsWhenItsTopicIsDeleted(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	n.producer(t).produce(topic, 0, newBatch(t, "a"))
	fetched := make(chan *talosv1.FetchedPartition, 1)
	go func() { fetched <- n.fetch(t, topic.GetId(), 0, 1, time.Hour) }()
	n.awaitPolls(t, 1)

	_, err := n.admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: "logs"})
	require.NoError(t, err)
	require.Equal(t, "UnknownTopic", (<-fetched).GetError().GetKind())
}

// Each step of the removal fails once; in the end nothing is left, and at no
// time was data gone without a tombstone.
func TestRemovalIsRepeatedUntilItIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := newCluster().store
		var mu sync.Mutex
		failed := map[faulty.Op]bool{}
		armed := false
		c := newCluster()
		c.store = faulty.New(inner, func(call faulty.Call) faulty.Fault {
			mu.Lock()
			defer mu.Unlock()
			if !armed || failed[call.Op] || call.ID.Folder == probeFolder {
				return faulty.Fault{}
			}
			failed[call.Op] = true
			return faulty.Fault{Before: faulty.Fail(errors.New("not now"))}
		})
		n := c.start(t, "n1")
		topic := n.createTopic(t, "logs", 2)
		n.producer(t).produce(topic, 1, newBatch(t, "a"))
		mu.Lock()
		armed = true
		mu.Unlock()

		_, err := n.admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: "logs"})
		require.NoError(t, err)
		c.awaitRemoved(t, n, idOf(t, topic))
		mu.Lock()
		defer mu.Unlock()
		for _, op := range []faulty.Op{faulty.List, faulty.Create, faulty.Remove} {
			require.True(t, failed[op], op)
		}
	})
}

func TestRemovalGoesOnAfterARestart(t *testing.T) {
	c := newCluster()
	inner := c.store
	c.store = faulty.New(inner, faulty.Rules(
		faulty.Rule{Op: faulty.Remove, Fault: faulty.Fault{Before: faulty.Fail(errors.New("not in this life"))}}))
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	n.producer(t).produce(topic, 0, newBatch(t, "a"))
	_, err := n.admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: "logs"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		m, err := manifest.Latest(t.Context(), inner, idOf(t, topic))
		require.NoError(t, err)
		return m.Deleted
	}, patience, time.Millisecond)
	require.NoError(t, n.stop())
	require.Greater(t, len(segmentsBelow(t, inner, idOf(t, topic).String())), 2)

	c.store = inner
	c.awaitRemoved(t, c.start(t, "n1"), idOf(t, topic))
}

func TestVersion(t *testing.T) {
	n := newCluster().start(t, "n1")
	v, err := n.admin.Version(t.Context(), &talosv1.VersionRequest{})
	require.NoError(t, err)
	require.Equal(t, "v0.0.0-test", v.GetVersion())
	require.Equal(t, "n1", v.GetNodeId())
	require.Equal(t, n.meta.Cluster().ID, v.GetClusterId())
	require.Equal(t, int32(talos.DefaultRecordBytes), v.GetMaxRecordBytes())
	require.Equal(t, int32(talos.DefaultLimits().BatchBytes()), v.GetMaxBatchBytes())
}
