package sdk

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

const (
	// answerTime is how much longer than it may wait a heartbeat's answer may take.
	answerTime = 10 * time.Second
	// leaveTime bounds the farewell: the session ends by itself, too.
	leaveTime = 5 * time.Second
	// firstWait is how long the coordinator holds a heartbeat before it has said how
	// often it wants them.
	firstWait = time.Second
)

// placedPartitions are partitions with the names of their topics.
type placedPartitions map[talos.PartitionID]talos.TopicName

// membership is what the coordinator and the member know of each other. Its run
// sends the heartbeats; Poll reads assigned and states owned.
//
//	out ──answer──► member ──UnknownMember, FencedMember, silence, a hung application──► lost
//	 ▲                                                                                    │
//	 └──────────────────────── Poll has dropped all it read ◄─────────────────────────────┘
type membership struct {
	cfg         groupConfig
	group       string
	coordinator *coordinatorLink
	// nudge tells run that there is something to say.
	nudge chan struct{}

	mu       sync.Mutex // guards the fields below
	id       string
	epoch    int32 // 0 while it is out
	sequence int64
	interval time.Duration
	// assigned is what may be read, owned what is read or not yet given up; what
	// differs, Poll mends.
	assigned, owned placedPartitions
	lost            bool
	deadline        time.Time // until when owned is its own
	fatal, lastErr  error
	// inPoll says that the application is within Poll; left is since when it is not.
	inPoll bool
	left   time.Time
	note   chan struct{} // closed when Poll should look
}

func newMembership(cfg groupConfig, group string, coordinator *coordinatorLink) *membership {
	return &membership{
		cfg: cfg, group: group, coordinator: coordinator, id: newMemberID(), interval: firstWait,
		nudge: make(chan struct{}, 1), note: make(chan struct{}),
	}
}

// changed returns a channel that is closed when something is new for Poll.
func (m *membership) changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.note
}

func (m *membership) noteLocked() {
	close(m.note)
	m.note = make(chan struct{})
}

func (m *membership) poke() {
	select {
	case m.nudge <- struct{}{}:
	default:
	}
}

// polling and polled say that the application is within Poll, and no longer.
func (m *membership) polling() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inPoll = true
}

func (m *membership) polled() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inPoll, m.left = false, time.Now()
}

// lapses tells whether what is owned is others' by now. If no heartbeat was answered
// for a session it is lost, whatever is heard later: what was read of it is dropped.
func (m *membership) lapses() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lapseLocked(&talos.Error{
		Kind: talos.Timeout, Op: "sdk.Group", Subject: m.group, Detail: "no heartbeat was answered for a session",
	})
	return m.lost
}

func (m *membership) lapseLocked(why error) {
	if m.epoch != 0 && !m.lost && !time.Now().Before(m.deadline) {
		m.loseLocked(why)
	}
}

// waits tells whether Poll has something to do that should not wait.
func (m *membership) waits() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost || m.fatal != nil || !maps.Equal(m.assigned, m.owned)
}

func (m *membership) trouble() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lastErr
}

func (m *membership) ownedNow() []GroupPartition {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.owned.sorted()
}

// identity is who commits, with a sequence number of its own.
func (m *membership) identity() (id string, epoch int32, sequence int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sequence++
	return m.id, m.epoch, m.sequence
}

// standing is what Poll goes by.
type standing struct {
	assigned, owned placedPartitions
	lost            bool
	fatal           error
}

func (m *membership) standing() standing {
	m.mu.Lock()
	defer m.mu.Unlock()
	return standing{assigned: maps.Clone(m.assigned), owned: maps.Clone(m.owned), lost: m.lost, fatal: m.fatal}
}

// own states what is read from now on.
func (m *membership) own(more, less placedPartitions) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := maps.Clone(m.owned)
	if next == nil {
		next = placedPartitions{}
	}
	maps.Copy(next, more)
	for p := range less {
		delete(next, p)
	}
	m.owned = next
	m.poke()
}

// lose says that the member of this id is out: others may read what it has.
func (m *membership) lose(id string, why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.id == id && !m.lost {
		m.loseLocked(why)
	}
}

func (m *membership) loseLocked(why error) {
	m.coordinator.client.cfg.logger.Warn("the member is out of its group, and joins again", "group", m.group, "member", m.id, "error", why)
	m.lost, m.assigned, m.lastErr = true, nil, why
	m.noteLocked()
}

// dropped says that nothing of what was lost is read anymore.
func (m *membership) dropped() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.id, m.epoch, m.owned, m.assigned, m.lost = newMemberID(), 0, nil, nil, false
	m.poke()
}

// sorted lists them by topic and number.
func (p placedPartitions) sorted() []GroupPartition {
	all := make([]GroupPartition, 0, len(p))
	for id, topic := range p {
		all = append(all, GroupPartition{topic, id.Number})
	}
	slices.SortFunc(all, func(a, b GroupPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return all
}

// wire is how they travel.
func (p placedPartitions) wire() []*talosv1.GroupPartitions {
	byTopic := make(map[talos.TopicID]*talosv1.GroupPartitions)
	var all []*talosv1.GroupPartitions
	for id, topic := range p {
		some := byTopic[id.Topic]
		if some == nil {
			some = &talosv1.GroupPartitions{TopicId: id.Topic[:], Topic: string(topic)}
			byTopic[id.Topic] = some
			all = append(all, some)
		}
		some.Partitions = append(some.Partitions, id.Number)
	}
	for _, some := range all {
		slices.Sort(some.GetPartitions())
	}
	return all
}

func fromWire(all []*talosv1.GroupPartitions) placedPartitions {
	placed := placedPartitions{}
	for _, some := range all {
		if len(some.GetTopicId()) != len(talos.TopicID{}) {
			continue // of no use
		}
		for _, number := range some.GetPartitions() {
			placed[talos.PartitionID{Topic: talos.TopicID(some.GetTopicId()), Number: number}] = talos.TopicName(some.GetTopic())
		}
	}
	return placed
}
