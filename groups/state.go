package groups

import (
	"maps"
	"slices"
	"strings"
	"time"

	groupsv1 "github.com/talos-log/talos/proto/talos/groups/v1"
	"github.com/talos-log/talos/talos"
)

// Topics tells what a topic is now; false if there is none.
type Topics func(talos.TopicName) (talos.Topic, bool)

// State is the groups of one coordinator. It is for one goroutine.
type State struct {
	cfg    Config
	topics Topics
	groups map[string]*group
	// events are what commands have changed since the last Take.
	events [][]byte
	// changed are the members whose epoch has changed since the last Changed.
	changed []MemberKey
	// now is the time of the turn.
	now time.Time
	// rebalances and commits count those since the last Happened.
	rebalances, commits int
}

// MemberKey names a member.
type MemberKey struct{ Group, Member string }

// New returns a coordinator without groups. Topics is asked in Settle.
func New(cfg Config, topics Topics) *State {
	cfg.ensureDefaults()
	return &State{cfg: cfg, topics: topics, groups: make(map[string]*group)}
}

type group struct {
	name string
	// epoch and memberEpoch are groupsv1.Group's.
	epoch, memberEpoch int32
	used               time.Time
	members            map[string]*member
	// instances are the members by instance id, without those that are fenced.
	instances map[string]*member
	// holders are who has each partition assigned or being revoked.
	holders map[talos.PartitionID]*member
	offsets map[talos.PartitionID]*groupsv1.Offset
	names   map[talos.TopicID]string
	// retarget tells that the target must be computed, advance that assignments may
	// change; due is when a session ends, at the earliest.
	retarget, advance bool
	due               time.Time
}

type member struct {
	id, instance, client string
	topics               []string
	session, rebalance   time.Duration
	epoch                int32
	heartbeats, commits  int64
	target               map[talos.PartitionID]int32
	// assigned and revoking have the epoch since which the member has each.
	assigned, revoking map[talos.PartitionID]int32
	away, fenced       bool

	// The fields below are not stored. silent is when its session is over, tardy when
	// the time to give up is; zero if there is nothing to give up.
	heard, silent, tardy time.Time
	// host is where the last heartbeat came from.
	host string
}

func newGroup(name string) *group {
	return &group{
		name: name, members: make(map[string]*member), instances: make(map[string]*member),
		holders: make(map[talos.PartitionID]*member), offsets: make(map[talos.PartitionID]*groupsv1.Offset),
		names: make(map[talos.TopicID]string), retarget: true,
	}
}

// sorted returns the members by id.
func (g *group) sorted() []*member {
	return slices.SortedFunc(maps.Values(g.members), func(a, b *member) int { return strings.Compare(a.id, b.id) })
}

// holds tells what a member has, or has not yet given up.
func (m *member) holds(p talos.PartitionID) (since int32, ok bool) {
	if since, ok = m.assigned[p]; !ok {
		since, ok = m.revoking[p]
	}
	return since, ok
}

// alive notes that a member was heard.
func (m *member) alive(now time.Time) {
	m.heard, m.silent = now, now.Add(m.session)
}

// Changed returns the members whose epoch has changed, or that are gone, since the
// last call.
func (s *State) Changed() []MemberKey {
	changed := s.changed
	s.changed = nil
	return changed
}

// Happened counts the changes of targets, and the commits, since the last call.
func (s *State) Happened() (rebalances, commits int) {
	rebalances, commits = s.rebalances, s.commits
	s.rebalances, s.commits = 0, 0
	return rebalances, commits
}

// Counts is how much there is.
type Counts struct{ Groups, Members int }

// Counts counts.
func (s *State) Counts() Counts {
	c := Counts{Groups: len(s.groups)}
	for _, g := range s.groups {
		c.Members += len(g.members)
	}
	return c
}

// TopicsChanged tells that Topics may answer otherwise than before.
func (s *State) TopicsChanged() {
	for _, g := range s.groups {
		g.retarget = true
	}
}

func comparePartitions(a, b talos.PartitionID) int {
	if c := slices.Compare(a.Topic[:], b.Topic[:]); c != 0 {
		return c
	}
	return int(a.Number) - int(b.Number)
}

func sortedPartitions[V any](set map[talos.PartitionID]V) []talos.PartitionID {
	return slices.SortedFunc(maps.Keys(set), comparePartitions)
}
