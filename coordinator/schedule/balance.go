package schedule

import "slices"

// movable are the partitions that balance may move, by where they are and where
// their home is.
type movable map[string]map[string][]*part

// take removes and returns a partition of from, one at home at to if there is any.
func (m movable) take(from, to string, homes []string) *part {
	of := m[from]
	last := func(home string) *part {
		list := of[home]
		if len(list) == 0 {
			return nil
		}
		of[home] = list[:len(list)-1]
		return list[len(list)-1]
	}
	if part := last(to); part != nil {
		return part
	}
	// One that is not at home where it is loses nothing.
	for _, home := range homes {
		if home != from {
			if part := last(home); part != nil {
				return part
			}
		}
	}
	return last(from)
}

// balance evens out the numbers of partitions, to within one.
func (p *planner) balance() {
	if !p.uneven() {
		return
	}
	can := make(movable, len(p.takers))
	left := make(map[string]int, len(p.takers))
	for _, id := range p.takers {
		can[id] = make(map[string][]*part)
	}
	for _, part := range p.parts {
		if !part.fixed && part.pin == "" && p.taker[part.at] {
			home := p.ring.home(part.id)
			can[part.at][home] = append(can[part.at][home], part)
			left[part.at]++
		}
	}
	open := slices.Clone(p.takers) // those that can still take some
	for len(open) > 0 {
		to := slices.MinFunc(open, func(a, b string) int { return p.counts[a] - p.counts[b] })
		from := p.fullest(to, left)
		if from == "" {
			open = slices.DeleteFunc(open, func(id string) bool { return id == to })
			continue
		}
		part := can.take(from, to, p.takers)
		left[from]--
		p.move(part, to, "balance")
	}
}

// fullest is the node that should give one to another; empty if none should and may.
func (p *planner) fullest(to string, left map[string]int) string {
	from := ""
	for _, id := range p.takers {
		if left[id] > 0 && p.counts[id] >= p.counts[to]+2 && (from == "" || p.counts[id] > p.counts[from]) && p.mayMove(id, to) {
			from = id
		}
	}
	return from
}

// uneven tells whether two nodes differ by more than one.
func (p *planner) uneven() bool {
	least, most := p.counts[p.takers[0]], 0
	for _, id := range p.takers {
		least, most = min(least, p.counts[id]), max(most, p.counts[id])
	}
	return most-least > 1
}
