package coordinator

import (
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/talos-log/talos/talos"
)

// View is what a node knows of the cluster, as of a moment that is seldom long
// ago: who is registered, which topics there are, and who owns what. Reading it
// asks nobody. One goroutine, the watch, writes it.
type View struct {
	logger *slog.Logger

	mu sync.RWMutex // guards the fields below; never held while waiting
	// revision is the transaction up to which everything is seen; synced tells that
	// there was a first snapshot.
	revision int64
	synced   bool
	// moved is closed, and made anew, at each update.
	moved       chan struct{}
	nodes       map[string]Member
	scheduler   schedulerState
	byName      map[talos.TopicName]storedTopic
	names       map[talos.TopicID]talos.TopicName
	partitions  int
	assignments map[talos.TopicID]Assignment
	leaving     map[string]Leaving
	pins        map[talos.TopicID]Pins
	loads       map[string]Load
	followers   map[*Follower]struct{}
}

type storedTopic struct {
	talos.Topic
	revision int64
}

// schedulerState is the scheduler key; a revision of 0 means that nobody has it.
type schedulerState struct {
	holder
	revision int64
}

func newView(logger *slog.Logger) *View {
	v := &View{logger: logger, moved: make(chan struct{}), followers: make(map[*Follower]struct{})}
	v.emptyLocked()
	return v
}

func (v *View) emptyLocked() {
	v.nodes = make(map[string]Member)
	v.scheduler = schedulerState{}
	v.byName = make(map[talos.TopicName]storedTopic)
	v.names = make(map[talos.TopicID]talos.TopicName)
	v.partitions = 0
	v.assignments = make(map[talos.TopicID]Assignment)
	v.leaving = make(map[string]Leaving)
	v.pins = make(map[talos.TopicID]Pins)
	v.loads = make(map[string]Load)
}

// take is what the watch tells.
func (v *View) take(u Update) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var changed Changes
	if u.Snapshot {
		v.emptyLocked()
		changed.All, changed.Nodes = true, true
	}
	for _, e := range u.Entries {
		v.applyLocked(e, &changed)
	}
	v.revision, v.synced = max(v.revision, u.Revision), true
	close(v.moved)
	v.moved = make(chan struct{})
	for f := range v.followers {
		f.addLocked(changed)
	}
}

// applyLocked takes one key's new state.
func (v *View) applyLocked(e Entry, changed *Changes) {
	rest, found := strings.CutPrefix(e.Key, viewPrefix)
	folder, name, _ := strings.Cut(rest, "/")
	var err error
	switch {
	case !found:
	case e.Key == schedulerKey:
		v.scheduler = schedulerState{revision: e.Revision}
		if e.Revision != 0 {
			v.scheduler.holder, err = decode(e, holder.validate)
		}
		changed.Nodes = true
	case folder == "nodes":
		err = store(v.nodes, name, e, decodeMember)
		changed.Nodes = true
	case folder == "leaving":
		err = store(v.leaving, name, e, decodeLeaving)
		changed.Nodes = true
	case folder == "loads":
		err = store(v.loads, name, e, decodeLoad)
		changed.Loads = true
	case folder == "topics":
		err = v.applyTopicLocked(talos.TopicName(name), e, changed)
	case folder == "assignments", folder == "pins":
		err = v.applyPerTopicLocked(folder, name, e, changed)
	}
	if err != nil {
		v.logger.Error("a key of the cluster's view is passed over", "key", e.Key, "error", err)
	}
}

// store puts what e says in its place, or takes it away.
func store[K comparable, T any](into map[K]T, key K, e Entry, decode func(Entry) (T, error)) error {
	delete(into, key)
	if e.Revision == 0 {
		return nil
	}
	value, err := decode(e)
	if err != nil {
		return err
	}
	into[key] = value
	return nil
}

func (v *View) applyTopicLocked(name talos.TopicName, e Entry, changed *Changes) error {
	if before, ok := v.byName[name]; ok {
		changed.topic(before.ID)
		v.partitions -= int(before.Partitions)
		delete(v.byName, name)
		delete(v.names, before.ID)
	}
	if e.Revision == 0 {
		return nil
	}
	topic, err := decodeTopic(e)
	if err != nil {
		return err
	}
	changed.topic(topic.ID)
	v.partitions += int(topic.Partitions)
	v.byName[name] = storedTopic{topic, e.Revision}
	v.names[topic.ID] = name
	return nil
}

func (v *View) applyPerTopicLocked(folder, name string, e Entry, changed *Changes) error {
	id, err := talos.ParseTopicID(name)
	if err != nil {
		return err
	}
	if folder == "pins" {
		changed.Nodes = true
		return store(v.pins, id, e, decodePins)
	}
	changed.topic(id)
	delete(v.assignments, id)
	if e.Revision == 0 {
		return nil
	}
	// Also one that can't be read has a revision, so that it can be written anew.
	v.assignments[id], err = decodeAssignment(e)
	return err
}

// Revision is the transaction up to which everything is seen.
func (v *View) Revision() int64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.revision
}

// Topic returns the topic of a name; false if there is none.
func (v *View) Topic(name talos.TopicName) (talos.Topic, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	t, ok := v.byName[name]
	return t.Topic, ok
}

// TopicOf returns the topic that has an id; false if there is none.
func (v *View) TopicOf(id talos.TopicID) (talos.Topic, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	name, ok := v.names[id]
	return v.byName[name].Topic, ok
}

// Topics returns all topics, sorted by name.
func (v *View) Topics() []talos.Topic {
	v.mu.RLock()
	defer v.mu.RUnlock()
	topics := make([]talos.Topic, 0, len(v.byName))
	for _, t := range v.byName {
		topics = append(topics, t.Topic)
	}
	slices.SortFunc(topics, func(a, b talos.Topic) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return topics
}

// Count returns how many topics there are, and the sum of their partitions.
func (v *View) Count() (topics, partitions int) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.byName), v.partitions
}

// Member returns a registered node; false if it is not registered.
func (v *View) Member(id string) (Member, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	m, ok := v.nodes[id]
	return m, ok
}

// Members returns the registered nodes, sorted by id.
func (v *View) Members() []Member {
	v.mu.RLock()
	defer v.mu.RUnlock()
	members := make([]Member, 0, len(v.nodes))
	for _, m := range v.nodes {
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return members
}

// Assignment returns who owns the partitions of a topic; it must not be changed.
func (v *View) Assignment(topic talos.TopicID) Assignment {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.assignments[topic]
}

// Leaving returns a node's mark; false if it has none.
func (v *View) Leaving(id string) (Leaving, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	l, ok := v.leaving[id]
	return l, ok
}

// Marks returns all marks, by node.
func (v *View) Marks() map[string]Leaving {
	v.mu.RLock()
	defer v.mu.RUnlock()
	marks := make(map[string]Leaving, len(v.leaving))
	for id, l := range v.leaving {
		marks[id] = l
	}
	return marks
}

// Pins returns the pins of a topic; they must not be changed.
func (v *View) Pins(topic talos.TopicID) Pins {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.pins[topic]
}

// Load returns what a node said last of its load; false if it said nothing.
func (v *View) Load(id string) (Load, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	l, ok := v.loads[id]
	return l, ok
}

// Scheduler returns the id of the node that plans; empty if none does.
func (v *View) Scheduler() string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.scheduler.ID
}

// Ownership is who owns one partition.
type Ownership struct {
	// Owner is the node's id; empty for nobody.
	Owner string
	// Member is the owner if it is registered, else nil.
	Member *Member
	// Next is where the partition goes; empty if it stays.
	Next string
	// Restart is the owner's mark if it is away for a restart, else nil.
	Restart *Leaving
}

// Owner returns who owns a partition.
func (v *View) Owner(id talos.PartitionID) Ownership {
	v.mu.RLock()
	defer v.mu.RUnlock()
	a := v.assignments[id.Topic]
	o := Ownership{Owner: a.Owner(id.Number), Next: a.Next[id.Number].To}
	if o.Owner == "" {
		return o
	}
	if m, ok := v.nodes[o.Owner]; ok {
		o.Member = &m
	} else if l, ok := v.leaving[o.Owner]; ok && l.Kind == LeavingRestart {
		o.Restart = &l
	}
	return o
}

// Owned returns how many partitions a node owns, and of those that move, how many
// go to it.
func (v *View) Owned(node string) (owned, coming int) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, a := range v.assignments {
		for _, owner := range a.Owners {
			if owner == node {
				owned++
			}
		}
		for _, next := range a.Next {
			if next.To == node {
				coming++
			}
		}
	}
	return owned, coming
}
