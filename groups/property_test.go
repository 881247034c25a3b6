package groups

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

// world plays members of one group against a State, and knows what each reads.
type world struct {
	state   *State
	topics  map[talos.TopicName]talos.Topic
	now     time.Time
	stored  [][]byte
	clients map[string]*client
	// commits are the offsets that were committed last.
	commits map[talos.PartitionID]int64
	lives   int
}

// client is a member as the SDK plays it.
type client struct {
	id, instance string
	topics       []string
	epoch        int32
	sequence     int64
	reads        []*talosv1.GroupPartitions
	// heard is when the last heartbeat that was answered was sent.
	heard time.Time
	// lost tells that the next answer is.
	lost bool
}

const session = 10 * time.Second

func newWorld() *world {
	w := &world{
		topics: make(map[talos.TopicName]talos.Topic), now: time.Unix(1_700_000_000, 0),
		clients: make(map[string]*client), commits: make(map[talos.PartitionID]int64),
	}
	w.state = New(Config{}, w.topic)
	return w
}

func (w *world) topic(name talos.TopicName) (talos.Topic, bool) {
	topic, ok := w.topics[name]
	return topic, ok
}

func (w *world) setTopic(name string, partitions int32) {
	topic, ok := w.topics[talos.TopicName(name)]
	if !ok {
		topic = talos.Topic{Name: talos.TopicName(name), ID: talos.TopicID{byte(len(w.topics) + 1)}}
	}
	topic.Partitions = max(partitions, topic.Partitions)
	w.topics[topic.Name] = topic
	w.state.TopicsChanged()
	w.settle()
}

func (w *world) settle() {
	w.state.Settle(w.now)
	w.stored = append(w.stored, w.state.Take()...)
}

// join begins a life of a member.
func (w *world) join(instance string, topics ...string) *client {
	w.lives++
	c := &client{id: fmt.Sprintf("m%02d", w.lives), instance: instance, topics: topics, heard: w.now}
	w.clients[c.id] = c
	w.beat(c)
	return c
}

// beat sends a heartbeat and follows its answer; a member that is out is gone.
func (w *world) beat(c *client) {
	c.sequence++
	err := w.state.Heartbeat(w.now, &talosv1.HeartbeatRequest{
		Group: "g", MemberId: c.id, InstanceId: c.instance, MemberEpoch: c.epoch, Sequence: c.sequence,
		Topics: c.topics, Owned: c.reads, SessionTimeoutMs: millis(session), RebalanceTimeoutMs: millis(3 * session),
	}, "")
	w.settle()
	var answer *talosv1.HeartbeatResponse
	if err == nil && c.epoch >= 0 {
		answer, err = w.state.Answer("g", c.id)
	}
	if c.lost {
		c.lost = false
		return // it hears nothing of what came of it
	}
	if err != nil || c.epoch < 0 {
		delete(w.clients, c.id)
		return
	}
	c.epoch, c.reads, c.heard = answer.GetMemberEpoch(), answer.GetAssigned(), w.now
}

// pass lets time go by; a member that was not heard in its session stops by itself.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	for id, c := range w.clients {
		if w.now.Sub(c.heard) >= session {
			delete(w.clients, id)
		}
	}
	w.settle()
}

// commit commits what a member reads first, one further than before.
func (w *world) commit(t require.TestingT, c *client) {
	if len(c.reads) == 0 {
		return
	}
	first := c.reads[0]
	p := talos.PartitionID{Topic: talos.TopicID(first.GetTopicId()), Number: first.GetPartitions()[0]}
	c.sequence++
	err := w.state.Commit(w.now, &talosv1.CommitOffsetsRequest{
		Group: "g", MemberId: c.id, MemberEpoch: c.epoch, Sequence: c.sequence,
		Offsets: []*talosv1.CommittedOffset{{TopicId: first.GetTopicId(), Topic: first.GetTopic(), Partition: p.Number, Offset: w.commits[p] + 1}},
	})
	w.settle()
	if err == nil {
		w.commits[p]++
		return
	}
	require.NotEqual(t, talos.Internal, talos.KindOf(err))
}

// check: nothing is read twice, and what is committed is what was committed last.
func (w *world) check(t require.TestingT) {
	readers := make(map[talos.PartitionID]string)
	for _, c := range w.clients {
		for _, some := range c.reads {
			for _, number := range some.GetPartitions() {
				p := talos.PartitionID{Topic: talos.TopicID(some.GetTopicId()), Number: number}
				require.Empty(t, readers[p], "%s and %s read %v", readers[p], c.id, p)
				readers[p] = c.id
			}
		}
	}
	response, err := w.state.Offsets(&talosv1.FetchOffsetsRequest{Group: "g"})
	require.NoError(t, err)
	got := make(map[talos.PartitionID]int64)
	for _, o := range response.GetOffsets() {
		got[talos.PartitionID{Topic: talos.TopicID(o.GetTopicId()), Number: o.GetPartition()}] = o.GetOffset()
	}
	require.Equal(t, w.commits, got)
}

// reload makes the state anew: of all events, or of a snapshot.
func (w *world) reload(t require.TestingT, snapshot bool) {
	before := w.shape()
	if snapshot {
		w.stored = slices.Collect(w.state.Snapshot)
	}
	w.state = New(Config{}, w.topic)
	for _, e := range w.stored {
		require.NoError(t, w.state.Apply(e))
	}
	w.state.Changed()
	require.Equal(t, before, w.shape())
	w.settle()
}

// shape is the state as far as it must survive: sequences of heartbeats need not,
// between events.
func (w *world) shape() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(w.state.groups)) {
		g := w.state.groups[name]
		for _, e := range g.events() {
			if m := e.GetMember(); m != nil {
				m.Heartbeats = 0
			}
			b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(e)
			all = append(all, string(b))
		}
	}
	return all
}

// calm lets all members beat until nothing changes: the last of those that are gone is
// silent for a session and a second, and what it read passes over three heartbeats.
func (w *world) calm() {
	for range 12 {
		w.pass(session / 3)
		for _, id := range slices.Sorted(maps.Keys(w.clients)) {
			if c := w.clients[id]; c != nil {
				w.beat(c)
			}
		}
	}
}

func TestPartitionsHaveOneReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.setTopic("a", 5)
		some := func() *client {
			ids := slices.Sorted(maps.Keys(w.clients))
			if len(ids) == 0 {
				return w.join("", "a")
			}
			return w.clients[rapid.SampledFrom(ids).Draw(t, "who")]
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 12).Draw(t, "step") {
			case 0:
				w.join("", rapid.SampledFrom([][]string{{"a"}, {"b"}, {"a", "b"}}).Draw(t, "topics")...)
			case 1:
				w.join(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "instance"), "a", "b")
			case 2:
				c := some()
				c.epoch, c.reads = rapid.Int32Range(leavesAWait, leaves).Draw(t, "leave"), nil
				w.beat(c)
			case 3:
				delete(w.clients, some().id) // it crashed
			case 4:
				w.setTopic(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "topic"), rapid.Int32Range(1, 12).Draw(t, "partitions"))
			case 5:
				w.reload(t, rapid.Bool().Draw(t, "snapshot"))
			case 6:
				w.pass(time.Duration(rapid.IntRange(1, 12).Draw(t, "seconds")) * time.Second)
			case 7:
				w.commit(t, some())
			case 8:
				c := some()
				c.lost = true
				w.beat(c)
			default:
				w.beat(some())
			}
			w.check(t)
		}
		w.calm()
		w.check(t)
		w.checkCalm(t)
	})
}

// checkCalm: all is read, by those that want it, and shared well.
func (w *world) checkCalm(t require.TestingT) {
	readers := make(map[string]int)
	total := 0
	for _, topic := range w.topics {
		for _, c := range w.clients {
			if slices.Contains(c.topics, string(topic.Name)) {
				readers[string(topic.Name)]++
			}
		}
		if readers[string(topic.Name)] > 0 {
			total += int(topic.Partitions)
		}
	}
	read, uniform := 0, true
	var counts []int
	var topics []string
	for _, c := range w.clients {
		n := 0
		for _, some := range c.reads {
			n += len(some.GetPartitions())
		}
		read += n
		counts = append(counts, n)
		uniform = uniform && (topics == nil || slices.Equal(topics, c.topics))
		topics = c.topics
	}
	require.Equal(t, total, read, "%v", counts)
	if uniform && len(counts) > 0 {
		require.LessOrEqual(t, slices.Max(counts)-slices.Min(counts), 1)
	}
}

func TestMembersThatKeepPartitionsAreNotTouched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.setTopic("a", rapid.Int32Range(1, 200).Draw(t, "partitions"))
		n := rapid.IntRange(1, 20).Draw(t, "members")
		for range n {
			w.join("", "a")
		}
		w.calm()
		w.calm()
		before := w.reading()
		w.join("", "a")
		w.calm()
		moved := 0
		for p, who := range w.reading() {
			if before[p] != who {
				moved++
			}
		}
		// The new one's share, and nothing else.
		require.LessOrEqual(t, moved, len(before)/(n+1)+1)
		epochs := w.epochs()
		w.reload(t, false)
		w.calm()
		require.Equal(t, epochs, w.epochs(), "another coordinator changes nothing")
	})
}

func (w *world) reading() map[talos.PartitionID]string {
	all := make(map[talos.PartitionID]string)
	for _, c := range w.clients {
		for _, some := range c.reads {
			for _, number := range some.GetPartitions() {
				all[talos.PartitionID{Topic: talos.TopicID(some.GetTopicId()), Number: number}] = c.id
			}
		}
	}
	return all
}

func (w *world) epochs() map[string]int32 {
	all := make(map[string]int32)
	for id, c := range w.clients {
		all[id] = c.epoch
	}
	return all
}
