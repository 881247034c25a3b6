package groups

import (
	"slices"

	"github.com/talos-log/talos/talos"
)

// plan is who should read what, in the making.
type plan struct {
	// members are those that read, by id; got is what each has, in the same order.
	members []*member
	got     []map[talos.PartitionID]int32
	// readers are the indexes of those that read a topic.
	readers map[talos.TopicID][]int
	// free is what nobody has, in order.
	free []talos.PartitionID
}

// assign returns what each member should read, by id: each partition goes to one of
// the members that read its topic, each has as many as others as far as what it
// reads allows, and no more change hands than that takes.
func (s *State) assign(g *group) map[string]map[talos.PartitionID]int32 {
	p := s.newPlan(g)
	uniform := p.uniform()
	if uniform {
		p.trim()
	}
	for _, partition := range p.free {
		to := p.least(partition.Topic)
		p.got[to][partition] = 0
	}
	if !uniform {
		p.balance()
	}
	all := make(map[string]map[talos.PartitionID]int32)
	for i, m := range p.members {
		all[m.id] = p.got[i]
	}
	return all
}

// newPlan begins with what each member may keep.
func (s *State) newPlan(g *group) *plan {
	p := &plan{readers: make(map[talos.TopicID][]int)}
	topics := make(map[string]talos.Topic)
	for _, m := range g.sorted() {
		if m.fenced {
			continue
		}
		i := len(p.members)
		p.members, p.got = append(p.members, m), append(p.got, make(map[talos.PartitionID]int32))
		for _, name := range m.topics {
			topic, asked := topics[name]
			if !asked {
				topic, _ = s.topics(talos.TopicName(name))
				topics[name] = topic
				g.names[topic.ID] = name
			}
			if topic.Partitions > 0 {
				p.readers[topic.ID] = append(p.readers[topic.ID], i)
			}
		}
	}
	kept := make(map[talos.PartitionID]bool)
	for i, m := range p.members {
		for partition := range m.target {
			topic := topics[g.names[partition.Topic]]
			_, reads := slices.BinarySearch(p.readers[topic.ID], i)
			if reads && topic.ID == partition.Topic && partition.Number < topic.Partitions {
				p.got[i][partition] = 0
				kept[partition] = true
			}
		}
	}
	for _, topic := range topics {
		for number := range topic.Partitions {
			if partition := (talos.PartitionID{Topic: topic.ID, Number: number}); !kept[partition] {
				p.free = append(p.free, partition)
			}
		}
	}
	slices.SortFunc(p.free, comparePartitions)
	return p
}

// uniform tells whether all members read the same topics.
func (p *plan) uniform() bool {
	for _, m := range p.members {
		if !slices.Equal(m.topics, p.members[0].topics) {
			return false
		}
	}
	return true
}

// trim takes from members that read the same what is more than their share, so that
// nothing is left to balance after what is free was given.
func (p *plan) trim() {
	if len(p.members) == 0 {
		return
	}
	total := len(p.free)
	byCount := make([]int, len(p.members))
	for i := range p.members {
		byCount[i] = i
		total += len(p.got[i])
	}
	slices.SortStableFunc(byCount, func(a, b int) int { return len(p.got[b]) - len(p.got[a]) })
	share, more := total/len(p.members), total%len(p.members)
	for rank, i := range byCount {
		limit := share
		if rank < more {
			limit++
		}
		if len(p.got[i]) <= limit {
			continue
		}
		for _, partition := range sortedPartitions(p.got[i])[limit:] {
			delete(p.got[i], partition)
			p.free = append(p.free, partition)
		}
	}
}

// least returns which of a topic's readers has the fewest partitions.
func (p *plan) least(topic talos.TopicID) int {
	readers := p.readers[topic]
	least := readers[0]
	for _, i := range readers {
		if len(p.got[i]) < len(p.got[least]) {
			least = i
		}
	}
	return least
}

// balance moves single partitions while that makes two members more alike: the sum
// of the squares shrinks with each, so it ends.
func (p *plan) balance() {
	for moved := true; moved; {
		moved = false
		for i := range p.members {
			for _, partition := range sortedPartitions(p.got[i]) {
				if to := p.least(partition.Topic); len(p.got[to])+1 < len(p.got[i]) {
					delete(p.got[i], partition)
					p.got[to][partition] = 0
					moved = true
				}
			}
		}
	}
}
