package cli

import (
	"slices"

	"github.com/talos-log/talos/sdk"
)

// errand is a move that is to be done, and where the partition is, or is on its way
// to; empty if nobody has it.
type errand struct {
	sdk.PlannedMove
	owner string
}

// lots cuts what is to be done into parts that are asked for at a time. Between two of
// them no node has more partitions than before or after all: the cluster would make
// room there by moves of its own. A lot is larger than carriedAtOnce only if one group
// is, which has at most one move from each node.
func lots(todo []errand) [][]errand {
	var all [][]errand
	var lot []errand
	for _, group := range together(todo) {
		if len(lot) > 0 && len(lot)+len(group) > carriedAtOnce {
			all, lot = append(all, lot), nil
		}
		lot = append(lot, group...)
	}
	if len(lot) > 0 {
		all = append(all, lot)
	}
	return all
}

// together groups moves so that each goes to where the next one comes from: into ways
// from a node that ends with fewer partitions to one that ends with more, and rings,
// such as two partitions that change places. In between, numbers stay as they are.
//
// It walks from node to node, first from those that end with fewer: from there a walk
// ends at one that ends with more. What is left then are rings. A ring that closes is
// taken out of the walk.
func together(todo []errand) [][]errand {
	waiting := make(map[string][]errand) // by owner
	fewer := make(map[string]int)
	for _, m := range todo {
		waiting[m.owner] = append(waiting[m.owner], m)
		fewer[m.owner]++
		fewer[m.To]--
	}
	var ways, rings [][]errand
	walk := func(from string) {
		var way []errand
		for at := from; ; {
			if back := slices.IndexFunc(way, func(m errand) bool { return m.owner == at }); back >= 0 {
				rings = append(rings, slices.Clone(way[back:]))
				way = way[:back]
			}
			next := waiting[at]
			if len(next) == 0 {
				break
			}
			way, waiting[at] = append(way, next[0]), next[1:]
			at = next[0].To
		}
		if len(way) > 0 {
			ways = append(ways, way)
		}
	}
	for _, m := range todo {
		for ; fewer[m.owner] > 0; fewer[m.owner]-- {
			walk(m.owner)
		}
	}
	for _, m := range todo {
		for len(waiting[m.owner]) > 0 {
			walk(m.owner)
		}
	}
	return append(ways, rings...)
}
