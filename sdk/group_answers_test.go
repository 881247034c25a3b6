package sdk_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

var errAnswerLost = status.Error(codes.Unavailable, "the answer is lost")

// scriptedGroups is the model of a coordinator with one member at a time: whoever
// joined last. Tests script what becomes of its answers; what was asked has happened
// nevertheless.
type scriptedGroups struct {
	talosv1.UnimplementedGroupsServer
	topic *talosv1.Topic

	mu       sync.Mutex // guards all below
	member   string
	epoch    int32
	assigned []int32
	// owned is what the member said last that it reads.
	owned     []int32
	committed map[int32]int64
	commits   []map[int32]int64
	// What becomes of the n-th heartbeat's answer, from 0 on, and of a commit.
	beats     int
	onBeat    func(n int) error
	onCommit  func() (stored bool, err error)
	refusals  int
	onRelease func(committed map[int32]int64) // when the member owns less
}

func scripted(n *node, partitions ...int32) *scriptedGroups {
	g := &scriptedGroups{topic: n.topic, assigned: partitions, committed: map[int32]int64{}}
	n.groups = g
	return g
}

func (g *scriptedGroups) Heartbeat(ctx context.Context, request *talosv1.HeartbeatRequest) (*talosv1.HeartbeatResponse, error) {
	g.mu.Lock()
	n := g.beats
	g.beats++
	switch {
	case request.GetMemberEpoch() < 0:
		g.mu.Unlock()
		return &talosv1.HeartbeatResponse{MemberEpoch: request.GetMemberEpoch()}, nil
	case request.GetMemberEpoch() == 0 && request.GetMemberId() != g.member:
		g.member, g.owned = request.GetMemberId(), nil
		g.epoch++
	case request.GetMemberId() != g.member:
		g.refusals++
		g.mu.Unlock()
		return nil, whole(&talos.Error{Kind: talos.UnknownMember, Op: "test"})
	}
	var owned []int32
	for _, p := range request.GetOwned() {
		owned = append(owned, p.GetPartitions()...)
	}
	if len(owned) < len(g.owned) && g.onRelease != nil {
		g.onRelease(g.committed)
	}
	g.owned = owned
	epoch, changed := g.epoch, request.GetMemberEpoch() != g.epoch
	on := g.onBeat
	g.mu.Unlock()
	if on != nil {
		if err := on(n); err != nil {
			return nil, err
		}
	}
	if !changed {
		select {
		case <-time.After(time.Duration(request.GetMaxWaitMs()) * time.Millisecond):
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if changed {
		return g.answerLocked(epoch), nil
	}
	return g.answerLocked(g.epoch), nil
}

func (g *scriptedGroups) answerLocked(epoch int32) *talosv1.HeartbeatResponse {
	return &talosv1.HeartbeatResponse{
		MemberEpoch: epoch, IntervalMs: 3000, SessionTimeoutMs: 15_000,
		Assigned: []*talosv1.GroupPartitions{{TopicId: g.topic.GetId(), Topic: g.topic.GetName(), Partitions: slices.Clone(g.assigned)}},
	}
}

func (g *scriptedGroups) CommitOffsets(_ context.Context, request *talosv1.CommitOffsetsRequest) (*talosv1.CommitOffsetsResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if request.GetMemberId() != g.member {
		g.refusals++
		return nil, whole(&talos.Error{Kind: talos.UnknownMember, Op: "test"})
	}
	stored, err := true, error(nil)
	if g.onCommit != nil {
		stored, err = g.onCommit()
	}
	now := map[int32]int64{}
	for _, o := range request.GetOffsets() {
		now[o.GetPartition()] = o.GetOffset()
	}
	g.commits = append(g.commits, now)
	if stored {
		maps.Copy(g.committed, now)
	}
	return &talosv1.CommitOffsetsResponse{}, err
}

func (g *scriptedGroups) FetchOffsets(_ context.Context, request *talosv1.FetchOffsetsRequest) (*talosv1.FetchOffsetsResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if request.GetMemberId() != g.member {
		return nil, whole(&talos.Error{Kind: talos.UnknownMember, Op: "test"})
	}
	answer := &talosv1.FetchOffsetsResponse{}
	for p, offset := range g.committed {
		answer.Offsets = append(answer.Offsets, &talosv1.CommittedOffset{
			TopicId: g.topic.GetId(), Topic: g.topic.GetName(), Partition: p, Offset: offset,
		})
	}
	return answer, nil
}

func joinScripted(t *testing.T, client *sdk.Client, opts ...sdk.GroupOpt) *sdk.Group {
	t.Helper()
	g, err := client.NewGroup(t.Context(), "readers", []talos.TopicName{"logs"}, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = g.Close(context.Background()) })
	return g
}

// pollFor polls for a time, and returns what was read.
func pollFor(t *testing.T, g *sdk.Group, d time.Duration) []sdk.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var all []sdk.Message
	for {
		messages, err := g.Poll(ctx)
		if ctx.Err() != nil {
			return all
		}
		require.NoError(t, err)
		all = append(all, messages...)
	}
}

// A commit whose answer is lost is sent again, whether it was stored or not, for longer
// than one call tries; offsets never go back.
func TestALostAnswerToACommit(t *testing.T) {
	n := newNode(1)
	g := scripted(n, 0)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		began := time.Now()
		g.onCommit = func() (bool, error) {
			switch since := time.Since(began); {
			case since < 30*time.Second:
				return since < 15*time.Second, errAnswerLost
			case since > time.Minute && since < 90*time.Second:
				return false, errAnswerLost
			default:
				return true, nil
			}
		}
		n.put(t, 0, batch.None, "a", "b", "c")
		member := joinScripted(t, client)
		require.Equal(t, []string{"a", "b", "c"}, values(pollFor(t, member, time.Minute)))
		n.put(t, 0, batch.None, "d")
		require.Equal(t, []string{"d"}, values(pollFor(t, member, time.Minute)))
		require.NoError(t, member.Close(t.Context()))

		g.mu.Lock()
		defer g.mu.Unlock()
		require.GreaterOrEqual(t, len(g.commits), 4)
		before := int64(0)
		for _, c := range g.commits {
			require.GreaterOrEqual(t, c[0], before)
			before = c[0]
		}
		require.EqualValues(t, 4, g.committed[0])
	})
}

// The answer that takes a partition away is lost: with the next one the member
// commits what it has processed, gives the partition up, and reads no more of it.
func TestALostAnswerToAHeartbeat(t *testing.T) {
	n := newNode(2)
	g := scripted(n, 0, 1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, batch.None, "a")
		n.put(t, 1, batch.None, "x", "y")
		member := joinScripted(t, client)
		require.ElementsMatch(t, []string{"a", "x", "y"}, values(pollFor(t, member, time.Minute)))

		released := int64(-1)
		g.mu.Lock()
		g.assigned, g.epoch = []int32{0}, g.epoch+1
		var lost atomic.Int32 // a heartbeat is sent again while the last one's answer is lost
		g.onBeat = func(int) error {
			if lost.Add(1) <= 2 {
				return errAnswerLost
			}
			return nil
		}
		g.onRelease = func(committed map[int32]int64) { released = committed[1] }
		g.mu.Unlock()
		n.put(t, 1, batch.None, "z")
		got := pollFor(t, member, time.Minute)
		g.mu.Lock()
		require.Equal(t, []int32{0}, g.owned)
		require.EqualValues(t, 2+len(got), released, "what was processed was committed before the partition was given up")
		g.mu.Unlock()

		n.put(t, 1, batch.None, "more")
		n.put(t, 0, batch.None, "b")
		require.Equal(t, []string{"b"}, values(pollFor(t, member, time.Minute)))
		require.NoError(t, member.Close(t.Context()))
		require.Zero(t, g.refusals, "it stayed the same member")
	})
}

// An answer to a join that comes when the session is over gives the member nothing:
// it joins anew, and reads under that membership only.
func TestALateAnswerToAJoin(t *testing.T) {
	n := newNode(1)
	g := scripted(n, 0)
	g.onBeat = func(n int) error {
		if n == 0 {
			<-time.After(40 * time.Second)
		}
		return nil
	}
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, batch.None, "a", "b")
		member := joinScripted(t, client)
		require.Equal(t, []string{"a", "b"}, values(pollFor(t, member, 5*time.Minute)))
		require.NoError(t, member.Close(t.Context()))
		g.mu.Lock()
		defer g.mu.Unlock()
		require.EqualValues(t, 2, g.committed[0])
		require.Greater(t, g.beats, 1, "it asked again")
		require.Zero(t, g.refusals, "nothing was said for a membership that is over")
	})
}
