package groups

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

func count(c *client) int {
	n := 0
	for _, some := range c.reads {
		n += len(some.GetPartitions())
	}
	return n
}

func TestOnlyTheNewestEpochGivesUp(t *testing.T) {
	w := newWorld()
	w.setTopic("a", 2)
	one := w.join("", "a")
	early := *one
	two := w.join("", "a")
	// What one sent before it heard that it must give one up says nothing of it.
	one.lost = true
	w.beat(one)
	late := early
	late.reads, late.sequence, late.lost = nil, one.sequence, true
	w.beat(&late)
	w.beat(two)
	require.Zero(t, count(two))
	one.sequence = late.sequence
	w.beat(one) // hears it
	w.beat(two)
	require.Zero(t, count(two))
	w.beat(one) // says that it has stopped
	w.beat(two)
	require.Equal(t, 1, count(two))
}

func TestLateRequestsAreRefused(t *testing.T) {
	w := newWorld()
	w.setTopic("a", 1)
	one := w.join("", "a")
	w.commit(t, one)
	commit := func(epoch int32, sequence int64) error {
		first := one.reads[0]
		return w.state.Commit(w.now, &talosv1.CommitOffsetsRequest{
			Group: "g", MemberId: one.id, MemberEpoch: epoch, Sequence: sequence,
			Offsets: []*talosv1.CommittedOffset{{TopicId: first.GetTopicId(), Topic: "a", Offset: 1}},
		})
	}
	require.NoError(t, commit(one.epoch, one.sequence), "the same again")
	require.ErrorIs(t, commit(one.epoch, one.sequence-1), talos.FencedMember)
	require.ErrorIs(t, commit(one.epoch-1, one.sequence+1), talos.FencedMember, "from before it had the partition")
	require.ErrorIs(t, commit(one.epoch+1, one.sequence+1), talos.FencedMember)
	w.beat(one)
	require.ErrorIs(t, w.state.Heartbeat(w.now, &talosv1.HeartbeatRequest{
		Group: "g", MemberId: one.id, MemberEpoch: one.epoch, Sequence: one.sequence - 1,
	}, ""), talos.FencedMember)
	w.check(t)
}

func TestStaticMembersComeBack(t *testing.T) {
	w := newWorld()
	w.setTopic("a", 6)
	x, y := w.join("x", "a"), w.join("y", "a")
	w.calm()
	require.Equal(t, 3, count(x))
	had, others := x.reads, y.epoch

	// It says that it comes back: all is there at once, and nobody else is touched.
	x.epoch, x.reads = leavesAWait, nil
	w.beat(x)
	w.beat(y)
	x = w.join("x", "a")
	require.Equal(t, had, x.reads)
	w.beat(y)
	require.Equal(t, others, y.epoch)

	// It comes while another is there: that one is passed over, and its partitions
	// are free when it has stopped for certain.
	again := w.join("x", "a")
	require.Zero(t, count(again))
	require.ErrorIs(t, w.state.Heartbeat(w.now, &talosv1.HeartbeatRequest{
		Group: "g", MemberId: x.id, MemberEpoch: x.epoch, Sequence: x.sequence + 1,
	}, ""), talos.FencedInstance)
	for range 4 {
		w.pass(session / 3)
		w.beat(y)
		w.beat(again)
	}
	require.Equal(t, had, again.reads)
	require.Equal(t, others, y.epoch)
}

func TestWhoDoesNotGiveUpInItsTimeIsOut(t *testing.T) {
	w := newWorld()
	w.setTopic("a", 2)
	slow, other := w.join("", "a"), w.join("", "a")
	keeps := slow.reads
	for range 8 { // 3 sessions are its time
		w.pass(session / 2)
		w.beat(slow)
		if slow.epoch > 0 && w.clients[slow.id] != nil {
			slow.reads = keeps
		}
		w.beat(other)
	}
	require.Nil(t, w.clients[slow.id])
	require.Equal(t, 2, count(other))
}

func TestEmptyGroupsExpire(t *testing.T) {
	w := newWorld()
	w.setTopic("a", 1)
	w.commit(t, w.join("", "a"))
	w.pass(time.Hour)
	require.Equal(t, talosv1.GroupState_GROUP_STATE_EMPTY, w.state.List()[0].GetState())
	w.pass(DefaultRetention - 2*time.Hour)
	require.Len(t, w.state.List(), 1)
	w.reload(t, true)
	w.pass(3 * time.Hour)
	require.Empty(t, w.state.List())
}

func TestEpochsOfAGroupNeverComeAgain(t *testing.T) {
	w := newWorld()
	w.setTopic("a", 1)
	one := w.join("", "a")
	before := one.epoch
	w.pass(2 * session)
	w.reload(t, false)
	require.Greater(t, w.join("", "a").epoch, before)
}

func TestLimits(t *testing.T) {
	w := newWorld()
	w.setTopic("a", 1)
	w.state = New(Config{Members: 1, Groups: 1}, w.topic)
	join := func(group, id string) error {
		return w.state.Heartbeat(w.now, &talosv1.HeartbeatRequest{Group: group, MemberId: id, Sequence: 1, Topics: []string{"a"}}, "")
	}
	require.NoError(t, join("g", "one"))
	require.NoError(t, join("g", "one"), "the same again")
	require.ErrorIs(t, join("g", "two"), talos.GroupFull)
	require.ErrorIs(t, join("h", "one"), talos.LimitReached)
	require.ErrorIs(t, w.state.Delete("g"), talos.GroupNotEmpty)
	require.ErrorIs(t, w.state.Delete("h"), talos.UnknownGroup)
	require.ErrorIs(t, w.state.Commit(w.now, &talosv1.CommitOffsetsRequest{Group: "g"}), talos.GroupNotEmpty)
	require.ErrorIs(t, w.state.Commit(w.now, &talosv1.CommitOffsetsRequest{Group: "g", MemberId: "two"}), talos.UnknownMember)
}

// BenchmarkRebalance is the work of a coordinator for a hundred members that share a
// thousand partitions, and one more.
func BenchmarkRebalance(b *testing.B) {
	for b.Loop() {
		w := newWorld()
		w.setTopic("a", 1000)
		for range 100 {
			w.join("", "a")
		}
		w.calm()
		w.join("", "a")
		w.calm()
	}
}
