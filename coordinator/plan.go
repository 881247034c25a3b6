package coordinator

import (
	"time"

	"github.com/talos-log/talos/coordinator/schedule"
	"github.com/talos-log/talos/talos"
)

// State is what a plan depends on, as the view has it now.
func (v *View) State(now time.Time) schedule.State {
	s := v.snapshot()
	s.now = now
	return s.state()
}

// state is the snapshot as the planner sees it.
func (s snapshot) state() schedule.State {
	state := schedule.State{
		Now: s.now, Away: make(map[string]time.Time),
		Pins: make(map[talos.PartitionID]string), Loads: make(map[talos.PartitionID]float64),
		Topics: make([]schedule.Topic, 0, len(s.topics)),
	}
	for id, m := range s.nodes {
		state.Members = append(state.Members, schedule.Member{
			ID: id, Draining: s.leaving[id].Kind == LeavingDrain, Unfit: m.Unfit != nil,
		})
		for _, l := range s.loads[id].Partitions {
			state.Loads[talos.PartitionID{Topic: l.Topic, Number: l.Partition}] = l.BytesPerSecond
		}
	}
	for id, mark := range s.leaving {
		if _, here := s.nodes[id]; !here && mark.Kind == LeavingRestart {
			state.Away[id] = mark.Until()
		}
	}
	for _, t := range s.topics {
		a := s.assignments[t.ID]
		topic := schedule.Topic{ID: t.ID, Name: t.Name, Partitions: t.Partitions, Owners: a.Owners}
		if len(a.Next) > 0 {
			topic.Next = make(map[int32]schedule.Handover, len(a.Next))
		}
		for number, next := range a.Next {
			topic.Next[number] = schedule.Handover{To: next.To, Since: next.Since}
		}
		state.Topics = append(state.Topics, topic)
		for number, node := range s.pins[t.ID] {
			state.Pins[talos.PartitionID{Topic: t.ID, Number: number}] = node
		}
	}
	return state
}
