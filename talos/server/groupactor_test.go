package server

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc/status"
)

// groupHistory is what all members of a group did, as it really was.
type groupHistory struct {
	t *testing.T

	mu      sync.Mutex // guards the fields below
	readers map[int32]string
	// acked are the commits of a partition that were acknowledged, maybe those that
	// failed with an unknown outcome since then.
	acked, maybe map[int32]int64
	commits      int
}

func newGroupHistory(t *testing.T) *groupHistory {
	return &groupHistory{t: t, readers: make(map[int32]string), acked: make(map[int32]int64), maybe: make(map[int32]int64)}
}

// begins notes that a member reads a partition from a committed offset on.
func (h *groupHistory) begins(member string, p int32, from int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	assert.Empty(h.t, h.readers[p], "%s begins to read %d", member, p)
	h.readers[p] = member
	assert.GreaterOrEqual(h.t, from, h.acked[p], "partition %d: a commit is lost", p)
	assert.LessOrEqual(h.t, from, h.acked[p]+h.maybe[p], "partition %d: an offset that nobody committed", p)
	h.acked[p], h.maybe[p] = from, 0
}

func (h *groupHistory) ends(member string, p int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	assert.Equal(h.t, member, h.readers[p])
	delete(h.readers, p)
}

func (h *groupHistory) committed(p int32, offset int64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !ok {
		h.maybe[p] = max(h.maybe[p], offset-h.acked[p])
		return
	}
	h.acked[p], h.maybe[p] = max(h.acked[p], offset), max(0, h.maybe[p]-(offset-h.acked[p]))
	h.commits++
}

func (h *groupHistory) reading() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.readers)
}

// groupActor is a member that plays by the rules, over any of several nodes.
type groupActor struct {
	id, instance string
	session      time.Duration
	history      *groupHistory
	// node returns a client of the node of an address; of any for none.
	node func(address string) talosv1.GroupsClient
	// crash is closed when it ends at once, leave when it leaves; hang is for how
	// long it sends nothing.
	crash, leave chan struct{}
	hang         chan time.Duration
	wait         time.Duration
	// has is called once, when it reads its share for the first time.
	share int
	has   func()

	client   talosv1.GroupsClient
	sequence int64
	epoch    int32
	answered time.Time
	reads    map[int32]int64
	topic    *talosv1.GroupPartitions
}

func newActor(id string, h *groupHistory, node func(string) talosv1.GroupsClient) *groupActor {
	return &groupActor{
		id: id, session: 6 * time.Second, history: h, node: node, client: node(""), wait: time.Second,
		crash: make(chan struct{}), leave: make(chan struct{}), hang: make(chan time.Duration, 1),
	}
}

// run is its life.
func (a *groupActor) run() {
	a.reads = make(map[int32]int64)
	lives := 0
	name := a.id
	for {
		select {
		case <-a.crash:
			a.stopAll()
			return
		case <-a.leave:
			a.stopAll()
			a.epoch = -1
			_, _ = a.beat()
			return
		case d := <-a.hang:
			// It reads on until its session is over, by its own clock.
			reads := max(0, min(d, time.Until(a.over())))
			<-time.After(reads)
			a.expire()
			<-time.After(d - reads)
		default:
		}
		changed, err := a.beat()
		switch {
		case err == nil:
			a.commitAll()
		case talos.Kind(kindOf(err)) == talos.UnknownMember, talos.Kind(kindOf(err)) == talos.FencedMember:
			a.stopAll()
			lives++
			a.id, a.epoch = fmt.Sprintf("%s.%d", name, lives), 0
		case talos.Kind(kindOf(err)) == talos.FencedInstance:
			a.stopAll()
			return
		default:
			a.expire()
			<-time.After(50 * time.Millisecond)
		}
		if !changed && a.wait == 0 {
			<-time.After(a.session / 10)
		}
	}
}

// over is when it must have stopped reading: virtual time knows no difference
// between its clock and the coordinator's, so a moment before its session ends.
func (a *groupActor) over() time.Time { return a.answered.Add(a.session - 10*time.Millisecond) }

// expire stops reading if its session is over.
func (a *groupActor) expire() {
	if !time.Now().Before(a.over()) {
		a.stopAll()
	}
}

// patience ends calls, at the latest when it must stop reading.
func (a *groupActor) patience() (context.Context, context.CancelFunc) {
	until := time.Now().Add(a.session / 2)
	if len(a.reads) > 0 && a.over().Before(until) {
		until = a.over()
	}
	return context.WithDeadline(context.Background(), until)
}

func (a *groupActor) stopAll() {
	for p := range a.reads {
		a.history.ends(a.id, p)
		delete(a.reads, p)
	}
}

// beat sends one heartbeat, and does what its answer says.
func (a *groupActor) beat() (changed bool, err error) {
	a.sequence++
	request := &talosv1.HeartbeatRequest{
		Group: "readers", MemberId: a.id, InstanceId: a.instance, MemberEpoch: a.epoch, Sequence: a.sequence, Topics: []string{"orders"},
		SessionTimeoutMs: int32(a.session.Milliseconds()), MaxWaitMs: int32(a.wait.Milliseconds()),
	}
	if len(a.reads) > 0 {
		owned := &talosv1.GroupPartitions{TopicId: a.topic.GetTopicId(), Topic: "orders"}
		for p := range a.reads {
			owned.Partitions = append(owned.Partitions, p)
		}
		request.Owned = []*talosv1.GroupPartitions{owned}
	}
	ctx, cancel := a.patience()
	defer cancel()
	sent := time.Now()
	response, err := a.client.Heartbeat(ctx, request)
	if err != nil {
		a.follow(err)
		return false, err
	}
	if a.epoch < 0 {
		return false, nil
	}
	a.epoch, a.answered = response.GetMemberEpoch(), sent
	assigned := make(map[int32]bool)
	for _, some := range response.GetAssigned() {
		a.topic = some
		for _, p := range some.GetPartitions() {
			assigned[p] = true
		}
	}
	for p := range a.reads {
		if !assigned[p] {
			a.history.ends(a.id, p)
			delete(a.reads, p)
			changed = true
		}
	}
	for p := range assigned {
		if _, reads := a.reads[p]; !reads && a.begin(ctx, p) {
			changed = true
		}
	}
	return changed, nil
}

// begin begins to read a partition where the one before it ended.
func (a *groupActor) begin(ctx context.Context, p int32) bool {
	response, err := a.client.FetchOffsets(ctx, &talosv1.FetchOffsetsRequest{
		Group: "readers", MemberId: a.id, MemberEpoch: a.epoch,
		Partitions: []*talosv1.GroupPartitions{{TopicId: a.topic.GetTopicId(), Topic: "orders", Partitions: []int32{p}}},
	})
	if err != nil {
		return false // with the next answer
	}
	from := int64(0)
	for _, o := range response.GetOffsets() {
		from = o.GetOffset()
	}
	if !time.Now().Before(a.over()) {
		return false
	}
	a.history.begins(a.id, p, from)
	a.reads[p] = from
	if len(a.reads) == a.share {
		a.has()
		a.share = 0
	}
	return true
}

func (a *groupActor) commitAll() {
	for p, offset := range a.reads {
		a.sequence++
		ctx, cancel := a.patience()
		_, err := a.client.CommitOffsets(ctx, &talosv1.CommitOffsetsRequest{
			Group: "readers", MemberId: a.id, MemberEpoch: a.epoch, Sequence: a.sequence,
			Offsets: []*talosv1.CommittedOffset{{TopicId: a.topic.GetTopicId(), Topic: "orders", Partition: p, Offset: offset + 1}},
		})
		cancel()
		a.history.committed(p, offset+1, err == nil)
		if err != nil {
			a.follow(err)
			return
		}
		a.reads[p] = offset + 1
	}
}

// follow turns to the coordinator that the error names, or to any.
func (a *groupActor) follow(err error) {
	address := ""
	if s, ok := status.FromError(err); ok && len(s.Details()) == 1 {
		if e, ok := s.Details()[0].(*talosv1.Error); ok {
			address = e.GetOwnerAddress()
		}
	}
	a.client = a.node(address)
}

func kindOf(err error) string {
	if s, ok := status.FromError(err); ok && len(s.Details()) == 1 {
		if e, ok := s.Details()[0].(*talosv1.Error); ok {
			return e.GetKind()
		}
	}
	return ""
}

// groupNodes finds the nodes of a cluster by their addresses.
type groupNodes struct {
	mu   sync.Mutex // guards the fields below
	all  map[string]*testNode
	turn int
}

func startGroupNodes(t *testing.T, c *cluster, ids ...string) *groupNodes {
	nodes := &groupNodes{all: make(map[string]*testNode)}
	for _, id := range ids {
		nodes.all[id] = c.start(t, id, func(cfg *Config) { cfg.GroupPartitions = 1 })
	}
	require.NotEmpty(t, nodes.all)
	return nodes
}

func (n *groupNodes) client(address string) talosv1.GroupsClient {
	n.mu.Lock()
	defer n.mu.Unlock()
	id, _, _ := strings.Cut(address, ".")
	if node, ok := n.all[id]; ok {
		return talosv1.NewGroupsClient(node.conn)
	}
	n.turn++
	return talosv1.NewGroupsClient(n.all[fmt.Sprintf("n%d", n.turn%len(n.all)+1)].conn)
}
