package server

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/coordinator"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/talos"
)

// describeReaders asks the coordinator of the group, wherever it is.
func describeReaders(t *testing.T, nodes *groupNodes) *talosv1.DescribeGroupResponse {
	t.Helper()
	var described *talosv1.DescribeGroupResponse
	require.Eventually(t, func() bool {
		var err error
		described, err = nodes.client("").DescribeGroup(t.Context(), &talosv1.DescribeGroupRequest{Group: "readers"})
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	return described
}

func groupOwner(nodes *groupNodes) (talos.PartitionID, string) {
	view := nodes.all["n1"].meta.View()
	topic, _ := view.Topic(groupsTopic)
	id := talos.PartitionID{Topic: topic.ID}
	return id, view.Owner(id).Owner
}

// moveCoordinator hands the coordinator over, in good order, to another node.
func moveCoordinator(t *testing.T, nodes *groupNodes) {
	t.Helper()
	id, from := groupOwner(nodes)
	to := "n1"
	if from == to {
		to = "n2"
	}
	require.NoError(t, nodes.all["n1"].meta.Pin(t.Context(), id.Topic, func(pins coordinator.Pins) { pins[0] = to }))
	require.Eventually(t, func() bool { _, now := groupOwner(nodes); return now == to }, time.Minute, 10*time.Millisecond)
}

func TestACoordinatorThatMovesOrCrashesChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := startGroupNodes(t, newCluster(), "n1", "n2", "n3")
		nodes.all["n1"].createTopic(t, "orders", 10)
		h := newGroupHistory(t)
		var lives sync.WaitGroup
		var actors []*groupActor
		for i := range 4 {
			a := newActor(fmt.Sprintf("m%d", i), h, nodes.client)
			actors = append(actors, a)
			lives.Go(a.run)
		}
		require.Eventually(t, func() bool {
			return h.reading() == 10 && describeReaders(t, nodes).GetState() == talosv1.GroupState_GROUP_STATE_STABLE
		}, time.Minute, 100*time.Millisecond)
		before := describeReaders(t, nodes)
		require.Len(t, before.GetMembers(), 4)
		for range 3 {
			moveCoordinator(t, nodes)
			time.Sleep(2 * time.Second)
		}
		_, owner := groupOwner(nodes)
		nodes.all[owner].kv.EndSessions()
		time.Sleep(20 * time.Second)
		after := describeReaders(t, nodes)
		require.Equal(t, before.GetEpoch(), after.GetEpoch(), "no rebalance")
		for i, m := range after.GetMembers() {
			require.Equal(t, before.GetMembers()[i].GetMemberId(), m.GetMemberId())
			require.Equal(t, before.GetMembers()[i].GetMemberEpoch(), m.GetMemberEpoch())
		}
		for _, a := range actors {
			close(a.leave)
		}
		lives.Wait()
		require.Positive(t, h.commits)
	})
}

// appendTrouble is what befalls appends to the store.
type appendTrouble struct {
	mu sync.Mutex // guards the fields below
	// hold is closed when appends go on; failing is how many fail.
	hold    chan struct{}
	failing int
}

func (a *appendTrouble) hook(call faulty.Call) faulty.Fault {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case call.Op != faulty.Append:
		return faulty.Fault{}
	case a.failing > 1 && a.failing%2 == 0:
		a.failing--
		return faulty.Fault{After: faulty.Fail(errors.New("no answer"))}
	case a.failing > 0:
		a.failing--
		return faulty.Fault{Before: faulty.Fail(errors.New("connection refused"))}
	case a.hold != nil:
		return faulty.Fault{Before: faulty.Hang(a.hold)}
	default:
		return faulty.Fault{}
	}
}

// hang makes appends wait for d.
func (a *appendTrouble) hang(d time.Duration) {
	hold := make(chan struct{})
	a.mu.Lock()
	a.hold = hold
	a.mu.Unlock()
	<-time.After(d)
	close(hold)
	a.mu.Lock()
	a.hold = nil
	a.mu.Unlock()
}

// fail makes the next appends fail; every other one is stored all the same.
func (a *appendTrouble) fail(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failing = n
}

// Members come, leave, crash and hang; the coordinator moves and crashes; the store
// hangs and fails. Nothing is read twice, no committed offset is lost, and in the end all is read.
func TestGroupsUnderFaults(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { groupFaults(t, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func groupFaults(t *testing.T, random *rand.Rand) {
	c, trouble := newCluster(), &appendTrouble{}
	c.store = faulty.New(c.store, trouble.hook)
	nodes := startGroupNodes(t, c, "n1", "n2", "n3")
	nodes.all["n1"].createTopic(t, "orders", 12)
	h := newGroupHistory(t)
	var lives sync.WaitGroup
	var actors []*groupActor
	born := 0
	bear := func() {
		a := newActor(fmt.Sprintf("m%d", born), h, nodes.client)
		if born++; random.IntN(3) == 0 {
			// Maybe one more of an instance that is there: that one is passed over.
			a.instance = fmt.Sprintf("i%d", random.IntN(2))
		}
		actors = append(actors, a)
		lives.Go(a.run)
	}
	die := func() *groupActor {
		i := random.IntN(len(actors))
		a := actors[i]
		actors = append(actors[:i], actors[i+1:]...)
		return a
	}
	for range 4 {
		bear()
	}
	for range 25 {
		time.Sleep(time.Duration(random.IntN(4000)) * time.Millisecond)
		if len(actors) < 3 {
			bear()
		}
		switch random.IntN(9) {
		case 0:
			bear()
		case 1:
			close(die().crash)
		case 2:
			close(die().leave)
		case 3:
			select {
			case actors[random.IntN(len(actors))].hang <- time.Duration(random.IntN(15_000)) * time.Millisecond:
			default:
			}
		case 4:
			if id, _ := groupOwner(nodes); id.Topic != (talos.TopicID{}) {
				moveCoordinator(t, nodes)
			}
		case 5, 6:
			d := time.Duration(random.IntN(12_000)) * time.Millisecond
			lives.Go(func() { trouble.hang(d) })
		case 7:
			trouble.fail(1 + random.IntN(4))
		default:
			if _, owner := groupOwner(nodes); owner != "" {
				nodes.all[owner].kv.EndSessions()
			}
		}
	}
	last := newActor("last", h, nodes.client)
	actors = append(actors, last)
	lives.Go(last.run)
	require.Eventually(t, func() bool {
		return h.reading() == 12 && describeReaders(t, nodes).GetState() == talosv1.GroupState_GROUP_STATE_STABLE
	}, 5*time.Minute, 100*time.Millisecond)
	for _, a := range actors {
		close(a.leave)
	}
	lives.Wait()
	require.Positive(t, h.commits)
}

// One more member joins afterwards: with -v it says how long that takes.
func TestManyMembersJoinAtOnce(t *testing.T) {
	for _, members := range []int{100, 500} {
		t.Run(fmt.Sprint(members), func(t *testing.T) { joinAtOnce(t, members, 1000) })
	}
}

func joinAtOnce(t *testing.T, members, partitions int) {
	nodes := startGroupNodes(t, newCluster(), "n1")
	nodes.all["n1"].createTopic(t, "orders", int32(partitions))
	h := newGroupHistory(t)
	var lives sync.WaitGroup
	var actors []*groupActor
	for i := range members {
		a := newActor(fmt.Sprintf("m%d", i), h, nodes.client)
		a.session = 10 * time.Minute
		actors = append(actors, a)
		lives.Go(a.run)
	}
	require.Eventually(t, func() bool { return h.reading() == partitions }, 3*time.Minute, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		d := describeReaders(t, nodes)
		return len(d.GetMembers()) == members && d.GetState() == talosv1.GroupState_GROUP_STATE_STABLE
	}, 3*time.Minute, 50*time.Millisecond)
	described := describeReaders(t, nodes)
	require.Len(t, described.GetMembers(), members)
	for _, m := range described.GetMembers() {
		require.Len(t, m.GetAssigned(), 1)
		require.Len(t, m.GetAssigned()[0].GetPartitions(), partitions/members)
	}
	t.Logf("%d members joined at once: the target was computed %d times", members, described.GetEpoch())
	began, moved := time.Now(), make(chan struct{})
	more := newActor("more", h, nodes.client)
	more.session, more.share, more.has = 10*time.Minute, partitions/(members+1), func() { close(moved) }
	actors = append(actors, more)
	lives.Go(more.run)
	<-moved
	t.Logf("one more member reads its share after %v", time.Since(began))
	for _, a := range actors {
		close(a.crash)
	}
	lives.Wait()
}
