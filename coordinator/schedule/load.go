package schedule

import "slices"

// load makes a hot partition of the hottest node and a cold one of the coldest
// change places. It does so only if nothing else is under way, no sooner than
// LoadPeriod after the last time, and if that takes a good part of the difference
// away: so that it can't chase a load that moves about.
func (p *planner) load() {
	if p.moves > 0 || len(p.plan.Steps) > 0 || len(p.state.Loads) == 0 || len(p.takers) < 2 {
		return
	}
	loads := make(map[string]float64, len(p.takers))
	sum := 0.0
	for _, part := range p.parts {
		if p.taker[part.at] {
			loads[part.at] += part.load
			sum += part.load
		}
	}
	by := func(a, b string) int {
		switch {
		case loads[a] < loads[b]:
			return -1
		case loads[a] > loads[b]:
			return 1
		default:
			return 0
		}
	}
	hottest, coldest := slices.MaxFunc(p.takers, by), slices.MinFunc(p.takers, by)
	average := sum / float64(len(p.takers))
	if loads[hottest] <= average*(1+p.limits.LoadTolerance) || loads[hottest] < p.limits.LoadFloor {
		return
	}
	if again := p.state.LoadMoved.Add(p.limits.LoadPeriod); p.state.Now.Before(again) {
		p.plan.lookAt(again)
		return
	}
	hot, cold := p.exchange(hottest, coldest, loads[hottest]-loads[coldest])
	if hot == nil {
		return
	}
	p.moveForLoad(hot, coldest, "its node carries more than others")
	if cold != nil {
		p.moveForLoad(cold, hottest, "in exchange for a hotter one")
	}
}

func (p *planner) moveForLoad(part *part, to, reason string) {
	if p.move(part, to, reason) {
		p.plan.Steps[len(p.plan.Steps)-1].ForLoad = true
	}
}

// exchange returns the partition to move from the hottest node, and the one to come
// back; nil if the number of partitions is better without. The difference that is
// left after it is the smallest that can be had, and at most three quarters of what
// it was; else hot is nil.
func (p *planner) exchange(hottest, coldest string, difference float64) (hot, cold *part) {
	if p.counts[hottest] <= p.counts[coldest] {
		for _, part := range p.parts {
			if part.at == coldest && !part.fixed && part.pin == "" && (cold == nil || part.load < cold.load) {
				cold = part
			}
		}
		if cold == nil {
			return nil, nil
		}
	}
	back := 0.0
	if cold != nil {
		back = cold.load
	}
	best := 0.75 * difference
	for _, part := range p.parts {
		if part.at != hottest || part.fixed || part.pin != "" {
			continue
		}
		left := difference - 2*(part.load-back)
		if left = max(left, -left); left < best {
			best, hot = left, part
		}
	}
	return hot, cold
}
