package coordinator

import (
	"slices"
	"strings"
	"time"

	"github.com/talos-log/talos/talos"
)

// TEMPORARY until coordinator/schedule is there.

type stepKind int

const (
	stepPlace stepKind = iota + 1
	stepMove
	stepForce
	stepCancel
)

func (k stepKind) String() string {
	return [...]string{"none", "place", "move", "force", "cancel"}[k]
}

type step struct {
	partition        talos.PartitionID
	kind             stepKind
	from, to, reason string
}

type plan struct {
	steps []step
	at    time.Time
}

func (m *Meta) plan(s snapshot) plan {
	var p plan
	look := func(t time.Time) {
		if p.at.IsZero() || t.Before(p.at) {
			p.at = t
		}
	}
	count := map[string]int{}
	var fit []string
	for id, n := range s.nodes {
		mark := s.leaving[id]
		if n.Unfit == nil && mark.Kind != LeavingDrain {
			fit = append(fit, id)
			count[id] = 0
		}
	}
	slices.Sort(fit)
	if len(fit) == 0 {
		return p
	}
	slices.SortFunc(s.topics, func(a, b storedTopic) int { return strings.Compare(string(a.Name), string(b.Name)) })
	total := 0
	for _, t := range s.topics {
		total += int(t.Partitions)
		a := s.assignments[t.ID]
		for n := range t.Partitions {
			to := a.Owner(n)
			if next, ok := a.Next[n]; ok {
				to = next.To
			}
			count[to]++
		}
	}
	least := func() string {
		return slices.MinFunc(fit, func(a, b string) int { return count[a] - count[b] })
	}
	limit := (total + len(fit) - 1) / len(fit)
	moving := 0
	for _, t := range s.topics {
		moving += len(s.assignments[t.ID].Next)
	}
	for _, t := range s.topics {
		a := s.assignments[t.ID]
		for n := range t.Partitions {
			id := talos.PartitionID{Topic: t.ID, Number: n}
			owner := a.Owner(n)
			next, moves := a.Next[n]
			_, live := s.nodes[owner]
			mark := s.leaving[owner]
			held := !live && mark.Kind == LeavingRestart && s.now.Before(mark.Until())
			_, fitOwner := count[owner]
			fitOwner = fitOwner && slices.Contains(fit, owner)
			switch {
			case owner == "":
				to := least()
				count[to]++
				p.steps = append(p.steps, step{id, stepPlace, "", to, "new"})
			case held:
				look(mark.Until())
			case !live:
				to := next.To
				if !slices.Contains(fit, to) {
					to = least()
					count[to]++
				}
				p.steps = append(p.steps, step{id, stepForce, owner, to, "its owner is gone"})
			case moves && !slices.Contains(fit, next.To):
				p.steps = append(p.steps, step{id, stepCancel, owner, next.To, "the next owner is gone"})
			case moves:
				if at := next.Since.Add(30 * time.Second); s.now.Before(at) {
					look(at)
				} else {
					p.steps = append(p.steps, step{id, stepForce, owner, next.To, "not handed over in time"})
				}
			case !fitOwner && moving < 16:
				to := least()
				count[to]++
				moving++
				p.steps = append(p.steps, step{id, stepMove, owner, to, "its owner leaves"})
			case fitOwner && count[owner] > limit && moving < 16:
				to := least()
				count[to]++
				count[owner]--
				moving++
				p.steps = append(p.steps, step{id, stepMove, owner, to, "balance"})
			}
		}
	}
	return p
}
