package server

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server/manifest"
	"google.golang.org/protobuf/proto"
)

func TestATopicGetsMorePartitionsWhileItIsServed(t *testing.T) {
	c := newCluster()
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	p := n.producer(t)
	p.produce(topic, 0, newBatch(t, "a"))
	for range 2 {
		altered, err := n.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{Name: "logs", Partitions: proto.Int32(3)})
		require.NoError(t, err)
		require.Equal(t, int32(3), altered.GetTopic().GetPartitions())
		require.Equal(t, topic.GetId(), altered.GetTopic().GetId())
	}
	p.produce(topic, 2, newBatch(t, "b"))
	require.Equal(t, []string{"0 a"}, n.all(t, topic.GetId(), 0))
	require.Equal(t, []string{"0 b"}, n.all(t, topic.GetId(), 2))
	m, err := manifest.Latest(t.Context(), c.store, idOf(t, topic))
	require.NoError(t, err)
	require.Equal(t, int64(2), m.Version, "one for each change")
	require.Equal(t, int32(3), m.Topic.Partitions)

	_, err = n.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{Name: "logs", Partitions: proto.Int32(2)})
	require.Equal(t, "InvalidConfig", detail(t, err).GetKind())
	_, err = n.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{Name: "other", Partitions: proto.Int32(2)})
	require.Equal(t, "UnknownTopic", detail(t, err).GetKind())

	require.NoError(t, n.stop())
	n = c.start(t, "n2")
	require.Equal(t, []string{"0 b"}, n.all(t, topic.GetId(), 2))
}

// durable notes how the segments with records were asked for.
type durable struct {
	storage.Store
	made chan talos.Durability
}

func (d *durable) Create(ctx context.Context, id storage.ID, head []byte, how talos.Durability) (storage.Appender, error) {
	if _, err := talos.ParseSegmentName(id.Name); err == nil {
		d.made <- how
	}
	return d.Store.Create(ctx, id, head, how)
}

func TestOpenPartitionsFollowTheConfiguration(t *testing.T) {
	c := newCluster()
	store := &durable{c.store, make(chan talos.Durability, 10)}
	c.store = store
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	p := n.producer(t)
	p.produce(topic, 0, newBatch(t, "a"))
	require.Equal(t, talos.Sync, <-store.made)
	_, err := n.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{
		Name: "logs", Durability: talosv1.Durability_DURABILITY_FLUSH.Enum(), RetentionMs: proto.Int64(3_600_000),
	})
	require.NoError(t, err)
	first := p.produce(topic, 0, newBatch(t, "b"))
	require.Equal(t, talos.Flush, <-store.made)
	require.Equal(t, int64(1), first.GetBaseOffset())
	require.Equal(t, []string{"0 a", "1 b"}, n.all(t, topic.GetId(), 0))

	metadata, err := n.admin.Metadata(t.Context(), &talosv1.MetadataRequest{Topics: []string{"logs"}})
	require.NoError(t, err)
	require.Equal(t, int64(3_600_000), metadata.GetTopics()[0].GetTopic().GetConfig().GetRetentionMs())
}

func TestAChangeWhoseAnswerIsLostIsMadeOnce(t *testing.T) {
	c := newCluster()
	n := c.start(t, "n1")
	n.createTopic(t, "logs", 1)
	c.loseAnswer.Store(true)
	altered, err := n.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{Name: "logs", Partitions: proto.Int32(3)})
	require.NoError(t, err)
	require.Equal(t, int32(3), altered.GetTopic().GetPartitions())
	require.False(t, c.loseAnswer.Load())
}

// slowManifests lets one look at a topic's manifests wait until it may go on.
type slowManifests struct {
	storage.Store
	hold atomic.Pointer[string] // the topic's folder
	pass atomic.Int32           // looks that need not wait
	held chan chan struct{}
}

func (s *slowManifests) List(ctx context.Context, folder string) (storage.Listing, error) {
	if of := s.hold.Load(); of != nil && folder == *of && s.pass.Add(-1) < 0 && s.hold.CompareAndSwap(of, nil) {
		goOn := make(chan struct{})
		s.held <- goOn
		<-goOn
	}
	return s.Store.List(ctx, folder)
}

// Two nodes alter a topic at once. The manifest of the one that is too late rests on
// what the topic was before, and must not be the newest: neither if there is nothing
// left for it to change, nor if its change is refused.
func TestTheNewestManifestIsWhatTheTopicIsAfterALostRace(t *testing.T) {
	for name, late := range map[string]*talosv1.AlterTopicRequest{
		"nothing left to change": {Name: "logs", RetentionMs: proto.Int64(7_200_000)},
		"refused":                {Name: "logs", Partitions: proto.Int32(2)},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster()
			store := &slowManifests{Store: c.store, held: make(chan chan struct{})}
			c.store = store
			a, b := c.start(t, "a"), c.start(t, "b")
			topic := a.createTopic(t, "logs", 1)
			folder := idOf(t, topic).String()
			store.hold.Store(&folder)
			ended := make(chan error, 1)
			go func() {
				_, err := a.admin.AlterTopic(t.Context(), late)
				ended <- err
			}()
			goOn := <-store.held
			altered, err := b.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{
				Name: "logs", Partitions: proto.Int32(4), RetentionMs: proto.Int64(7_200_000),
			})
			require.NoError(t, err)
			close(goOn)
			if err := <-ended; late.Partitions != nil {
				require.Equal(t, "InvalidConfig", detail(t, err).GetKind())
			} else {
				require.NoError(t, err)
			}
			m, err := manifest.Latest(t.Context(), c.store, idOf(t, topic))
			require.NoError(t, err)
			require.Equal(t, altered.GetTopic().GetPartitions(), m.Topic.Partitions)
			require.Equal(t, int64(7_200_000), m.Topic.Config.RetentionMillis)
		})
	}
}

// A change that takes its time here, while another node's later one has been followed
// already, does not take the partitions back to what it made of the topic.
func TestPartitionsFollowTheNewestOfTwoChanges(t *testing.T) {
	c := newCluster()
	store := &slowManifests{Store: c.store, held: make(chan chan struct{})}
	c.store = store
	a := c.start(t, "a")
	topic := a.createTopic(t, "logs", 1)
	a.producer(t).produce(topic, 0, newBatch(t, "x"))
	b := c.start(t, "b")
	follows := func() talos.Durability {
		p := a.term.Load().partitions
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.slots[talos.PartitionID{Topic: idOf(t, topic)}].config.Durability
	}
	alter := func(n *testNode, how talosv1.Durability) error {
		_, err := n.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{Name: "logs", Durability: how.Enum()})
		return err
	}
	folder := idOf(t, topic).String()
	store.pass.Store(1) // it is told to the coordinator, and then looked at again
	store.hold.Store(&folder)
	ended := make(chan error, 1)
	go func() { ended <- alter(a, talosv1.Durability_DURABILITY_FLUSH) }()
	goOn := <-store.held
	require.NoError(t, alter(b, talosv1.Durability_DURABILITY_SYNC))
	require.Eventually(t, func() bool { return follows() == talos.Sync }, patience, time.Millisecond)
	close(goOn)
	require.NoError(t, <-ended)
	require.Equal(t, talos.Sync, follows())
}

func TestDeleteRecords(t *testing.T) {
	c := newCluster()
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	p := n.producer(t)
	for _, v := range []string{"a", "b", "c"} {
		p.produce(topic, 0, newBatch(t, v))
	}
	remove := func(offset int64, epoch int32) (*talosv1.DeleteRecordsResponse, error) {
		return n.log.DeleteRecords(t.Context(), &talosv1.DeleteRecordsRequest{TopicId: topic.GetId(), Offset: offset, Epoch: epoch})
	}
	for _, offset := range []int64{2, 1} {
		deleted, err := remove(offset, 0)
		require.NoError(t, err)
		require.Equal(t, int64(2), deleted.GetRange().GetStart())
		require.Equal(t, int64(3), deleted.GetRange().GetEnd())
	}
	e := n.fetch(t, topic.GetId(), 0, 1, 0).GetError()
	require.Equal(t, "OffsetOutOfRange", e.GetKind())
	require.Equal(t, int64(2), e.GetRange().GetStart())
	_, err := remove(4, 0)
	require.Equal(t, "OffsetOutOfRange", detail(t, err).GetKind())
	_, err = remove(-1, 0)
	require.Equal(t, "InvalidRequest", detail(t, err).GetKind())
	_, err = remove(3, 99)
	require.Equal(t, "NotOwner", detail(t, err).GetKind())

	require.NoError(t, n.stop())
	n = c.start(t, "n2")
	fetched := n.fetch(t, topic.GetId(), 0, 2, patience)
	require.Equal(t, []string{"2 c"}, values(t, fetched.GetBatches()))
	require.Equal(t, int64(2), fetched.GetRange().GetStart())
}

func TestListOffsetsAtATime(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	p := n.producer(t)
	at := p.produce(topic, 0, newBatch(t, "a")).GetAppendTimeMs()
	require.Eventually(t, func() bool { return time.Now().UnixMilli() > at }, patience, time.Millisecond)
	later := p.produce(topic, 0, newBatch(t, "b")).GetAppendTimeMs()
	for _, c := range []struct{ at, want int64 }{{0, 0}, {at, 0}, {at + 1, 1}, {later, 1}, {later + 1, 2}} {
		response, err := n.log.ListOffsets(t.Context(), &talosv1.ListOffsetsRequest{Partitions: []*talosv1.ListOffsetsPartition{
			{TopicId: topic.GetId(), AtTimeMs: proto.Int64(c.at)},
		}})
		require.NoError(t, err)
		require.Nil(t, response.GetPartitions()[0].GetError())
		require.True(t, response.GetPartitions()[0].GetHasOffsetAtTime())
		require.Equal(t, c.want, response.GetPartitions()[0].GetOffsetAtTime())
	}
}

// A topic is deleted while another node is about to alter it. Its last manifest would
// say that it is there, of data that is gone.
func TestNoManifestOutlivesATopicThatIsDeletedWhileItIsAltered(t *testing.T) {
	c := newCluster()
	store := &slowManifests{Store: c.store, held: make(chan chan struct{})}
	c.store = store
	a, b := c.start(t, "a"), c.start(t, "b")
	topic := a.createTopic(t, "logs", 1)
	id := idOf(t, topic)
	folder := id.String()
	store.hold.Store(&folder)
	ended := make(chan error, 1)
	go func() {
		_, err := a.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{Name: "logs", Partitions: proto.Int32(2)})
		ended <- err
	}()
	goOn := <-store.held
	_, err := b.admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: "logs"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		left, err := b.meta.Deleted(t.Context())
		return err == nil && len(left) == 0
	}, patience, time.Millisecond, "its data is removed")
	close(goOn)
	require.Equal(t, "UnknownTopic", detail(t, <-ended).GetKind())
	_, err = manifest.Latest(t.Context(), c.store, id)
	require.ErrorIs(t, err, storage.ErrNotFound)
}
