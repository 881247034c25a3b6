package schedule

import (
	"slices"
	"time"

	"github.com/talos-log/talos/talos"
)

// maxRounds bounds the plans that End makes. One brings all numbers to their end;
// each further one exchanges two partitions for load.
const maxRounds = 50

// End returns the way of each partition that would move if nothing else happened
// from now on: what Next would do in many plans, as one step each, of kind Place or
// Move, in no order that matters. It takes a second or two where Next takes its
// longest.
func End(s State) []Step {
	s.Limits.Moves = -1
	s.Topics = slices.Clone(s.Topics)
	topics := make(map[talos.TopicID]*Topic, len(s.Topics))
	for i := range s.Topics {
		t := &s.Topics[i]
		t.Owners = append(slices.Clone(t.Owners), make([]string, max(0, int(t.Partitions)-len(t.Owners)))...)
		// What is on its way is as good as there, unless nobody is there.
		for n, next := range t.Next {
			if slices.ContainsFunc(s.Members, func(m Member) bool { return m.ID == next.To }) {
				t.Owners[n] = next.To
			}
		}
		t.Next = nil
		topics[t.ID] = t
	}
	ways := make(map[talos.PartitionID]Step)
	var order []talos.PartitionID
	for range maxRounds {
		s.LoadMoved = time.Time{} // it may go on at once
		plan := Next(s)
		if len(plan.Steps) == 0 {
			break
		}
		for _, step := range plan.Steps {
			topics[step.Partition.Topic].Owners[step.Partition.Number] = step.To
			way, known := ways[step.Partition]
			if !known {
				way = step
				order = append(order, step.Partition)
			}
			way.To, way.Kind = step.To, Move
			if way.From == "" {
				way.Kind = Place
			}
			ways[step.Partition] = way
		}
	}
	steps := make([]Step, 0, len(order))
	for _, id := range order {
		if way := ways[id]; way.From != way.To {
			steps = append(steps, way)
		}
	}
	return steps
}
