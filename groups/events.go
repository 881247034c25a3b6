package groups

import (
	"slices"
	"time"

	groupsv1 "github.com/talos-log/talos/proto/talos/groups/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// record makes a change: it is applied, and stored later.
func (s *State) record(e *groupsv1.Event) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
	if err == nil {
		err = s.apply(e)
	}
	if err != nil {
		//nolint:forbidigo // a fault of ours, not of data: the journal ends with it, and is loaded anew
		panic(err)
	}
	s.events = append(s.events, b)
}

// Take returns the events since the last call.
func (s *State) Take() [][]byte {
	events := s.events
	s.events = nil
	return events
}

// Reset forgets everything.
func (s *State) Reset() {
	s.groups, s.events, s.changed = make(map[string]*group), nil, nil
}

// Apply takes an event that was stored. NewerFormat: this version does not know it.
func (s *State) Apply(event []byte) error {
	e := &groupsv1.Event{}
	if err := proto.Unmarshal(event, e); err != nil {
		return &talos.Error{Kind: talos.CorruptSegment, Op: "groups.Apply", Detail: "an event can't be decoded", Cause: err}
	}
	if e.GetWhat() == nil || unknown(e.ProtoReflect()) {
		return &talos.Error{Kind: talos.NewerFormat, Op: "groups.Apply", Subject: e.GetGroup(), Detail: "an event of the consumer groups"}
	}
	if !wellFormed(e) {
		return &talos.Error{Kind: talos.CorruptSegment, Op: "groups.Apply", Subject: e.GetGroup(), Detail: "a topic's id of the wrong size"}
	}
	return s.apply(e)
}

// unknown tells whether this version does not know all of a message.
func unknown(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				found = found || unknown(value.List().Get(i).Message())
			}
		default:
			found = found || unknown(value.Message())
		}
		return !found
	})
	return found
}

// wellFormed tells whether all ids of topics have their size.
func wellFormed(e *groupsv1.Event) bool {
	const size = len(talos.TopicID{})
	for _, set := range [][]*groupsv1.Partitions{e.GetMember().GetTarget(), e.GetMember().GetAssigned(), e.GetMember().GetRevoking()} {
		for _, some := range set {
			if len(some.GetTopicId()) != size {
				return false
			}
		}
	}
	for _, o := range e.GetOffsets().GetOffsets() {
		if len(o.GetTopicId()) != size {
			return false
		}
	}
	return true
}

func (s *State) apply(e *groupsv1.Event) error {
	g, ok := s.groups[e.GetGroup()]
	if !ok {
		g = newGroup(e.GetGroup())
		s.groups[g.name] = g
	}
	switch what := e.GetWhat().(type) {
	case *groupsv1.Event_Set:
		g.epoch, g.memberEpoch = what.Set.GetEpoch(), what.Set.GetMemberEpoch()
		g.used = time.UnixMilli(what.Set.GetUsedMs())
	case *groupsv1.Event_Gone:
		delete(s.groups, g.name)
	case *groupsv1.Event_Member:
		return s.applyMember(g, what.Member)
	case *groupsv1.Event_MemberGone:
		s.forget(g, what.MemberGone.GetMemberId())
	case *groupsv1.Event_Offsets:
		g.applyOffsets(what.Offsets)
	default:
		return &talos.Error{Kind: talos.NewerFormat, Op: "groups.Apply", Subject: g.name}
	}
	return nil
}

// forget takes a member out of all tables.
func (s *State) forget(g *group, id string) {
	m, ok := g.members[id]
	if !ok {
		return
	}
	delete(g.members, id)
	if g.instances[m.instance] == m {
		delete(g.instances, m.instance)
	}
	for _, set := range []map[talos.PartitionID]int32{m.assigned, m.revoking} {
		for p := range set {
			delete(g.holders, p)
		}
	}
	s.changed = append(s.changed, MemberKey{g.name, id})
}

func (s *State) applyMember(g *group, stored *groupsv1.Member) error {
	m := fromMember(g, stored)
	before, known := g.members[m.id]
	if known {
		m.heard, m.silent, m.tardy, m.host = before.heard, before.silent, before.tardy, before.host
		s.forget(g, m.id)
	}
	g.members[m.id] = m
	g.memberEpoch = max(g.memberEpoch, m.epoch)
	if m.instance != "" && !m.fenced {
		g.instances[m.instance] = m
	}
	for _, set := range []map[talos.PartitionID]int32{m.assigned, m.revoking} {
		for p := range set {
			if other := g.holders[p]; other != nil {
				return &talos.Error{
					Kind: talos.Internal, Op: "groups.Apply", Subject: g.name,
					Detail: "the members " + other.id + " and " + m.id + " have the same partition " + p.String(),
				}
			}
			g.holders[p] = m
		}
	}
	return nil
}

func (g *group) applyOffsets(stored *groupsv1.Offsets) {
	for _, o := range stored.GetOffsets() {
		p := talos.PartitionID{Topic: talos.TopicID(o.GetTopicId()), Number: o.GetPartition()}
		if o.GetOffset() < 0 {
			delete(g.offsets, p)
			continue
		}
		if o.GetTimeMs() == 0 {
			o = proto.CloneOf(o)
			o.TimeMs = stored.GetTimeMs()
		}
		g.offsets[p] = o
	}
	if m, ok := g.members[stored.GetMemberId()]; ok {
		m.commits = max(m.commits, stored.GetSequence())
	}
	g.used = time.UnixMilli(max(stored.GetTimeMs(), g.used.UnixMilli()))
}

// Snapshot gives the events that make this state out of nothing.
func (s *State) Snapshot(yield func([]byte) bool) {
	names := make([]string, 0, len(s.groups))
	for name := range s.groups {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, e := range s.groups[name].events() {
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
			if err != nil {
				//nolint:forbidigo // a message of ours can be encoded
				panic(err)
			}
			if !yield(b) {
				return
			}
		}
	}
}

// snapshotOffsets is how many offsets one event of a snapshot has: at 4 KiB of
// metadata each, a quarter of a MiB.
const snapshotOffsets = 64

func (g *group) events() []*groupsv1.Event {
	var all []*groupsv1.Event
	for _, m := range g.sorted() {
		all = append(all, &groupsv1.Event{Group: g.name, What: &groupsv1.Event_Member{Member: m.stored(g)}})
	}
	for some := range slices.Chunk(sortedPartitions(g.offsets), snapshotOffsets) {
		offsets := &groupsv1.Offsets{}
		for _, p := range some {
			offsets.Offsets = append(offsets.Offsets, g.offsets[p])
		}
		all = append(all, &groupsv1.Event{Group: g.name, What: &groupsv1.Event_Offsets{Offsets: offsets}})
	}
	// Last: it has when the group was used.
	return append(all, g.event())
}

func (g *group) event() *groupsv1.Event {
	set := &groupsv1.Group{Epoch: g.epoch, MemberEpoch: g.memberEpoch, UsedMs: g.used.UnixMilli()}
	return &groupsv1.Event{Group: g.name, What: &groupsv1.Event_Set{Set: set}}
}
