package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/talos-log/talos/sdk"
)

// condition is how well something is.
type condition int

const (
	// well: nothing to do.
	well condition = iota
	// busy: it ends by itself.
	busy
	// trouble: somebody must act.
	trouble
)

func (c condition) String() string { return [...]string{"well", "busy", "trouble"}[c] }

// remark is something about a cluster that is not as usual.
type remark struct {
	state      condition
	what, toDo string
}

func worst(remarks []remark) condition {
	state := well
	for _, f := range remarks {
		state = max(state, f.state)
	}
	return state
}

// slowMove is how old a move is that should be over: the scheduler ends it after
// half of that.
const slowMove = time.Minute

// remarksOf tells what is not as usual in a cluster, the worst first.
func remarksOf(s sdk.ClusterStatus) []remark {
	remarks := slices.Concat(troubleRemarks(s), placementRemarks(s), moveRemarks(s))
	for _, n := range s.Nodes {
		remarks = append(remarks, nodeRemarks(n, s.At)...)
	}
	remarks = append(remarks, versionRemarks(s)...)
	slices.SortStableFunc(remarks, func(a, b remark) int { return cmp.Compare(b.state, a.state) })
	return remarks
}

// troubleRemarks are about the node that answered.
func troubleRemarks(s sdk.ClusterStatus) []remark {
	if s.Trouble == "" {
		return nil
	}
	return []remark{{
		trouble, "the node that answered can't do its work: " + oneLine(s.Trouble),
		"check what it names, as that host sees it; without etcd, what this node says of others may be old: ask another one",
	}}
}

// placementRemarks are about partitions that nobody serves.
func placementRemarks(s sdk.ClusterStatus) []remark {
	var remarks []remark
	takers := 0
	for _, n := range s.Nodes {
		if n.Registered && n.Mark != sdk.MarkDrain {
			takers++
		}
	}
	switch {
	case takers == 0:
		remarks = append(remarks, remark{
			trouble, "no node may own partitions: every one that is there drains",
			"start a node, or take one back with `talos node uncordon NODE`",
		})
	case s.Scheduler == "":
		remarks = append(remarks, remark{
			busy, "no node plans now: what a node loses stays without an owner",
			"the nodes elect one within seconds; if it lasts, look at etcd's health and at the nodes' logs",
		})
	}
	if s.Orphans > 0 {
		remarks = append(remarks, remark{
			busy, fmt.Sprintf("%s without an owner that is there", isCount(s.Orphans)),
			"another node takes over within seconds; if it lasts, the scheduler's log says why",
		})
	}
	return remarks
}

func moveRemarks(s sdk.ClusterStatus) []remark {
	var remarks []remark
	for _, m := range s.Moves {
		if s.At.Sub(m.Since) > slowMove {
			remarks = append(remarks, remark{
				trouble, fmt.Sprintf("%s/%d has been on its way from %s to %s for %s", m.Topic, m.Partition, m.From, m.To, since(s.At, m.Since)),
				"the scheduler should have ended that: look at its log, and at etcd's health",
			})
			break // one tells enough
		}
	}
	if len(remarks) == 0 && s.Moving > 0 {
		remarks = append(remarks, remark{busy, fmt.Sprintf("%s moving", isCount(s.Moving)), "`talos rebalance status` shows them"})
	}
	if s.Misplaced > 0 {
		remarks = append(remarks, remark{
			busy, fmt.Sprintf("%s not where an operator pinned it", isCount(s.Misplaced)),
			"it moves soon, unless that node is away, drains or can't do its work; `talos partition describe TOPIC` shows the pins, " +
				"`talos partition move TOPIC --partition N --unpin` takes one back",
		})
	}
	return remarks
}

// isCount says "3 partitions are".
func isCount(n int) string {
	if n == 1 {
		return "1 partition is"
	}
	return fmt.Sprintf("%d partitions are", n)
}

// nodeRemarks are about one node.
func nodeRemarks(n sdk.NodeStatus, now time.Time) []remark {
	var remarks []remark
	add := func(state condition, toDo, format string, args ...any) {
		remarks = append(remarks, remark{state, n.ID + " " + fmt.Sprintf(format, args...), toDo})
	}
	if n.Unfit != "" {
		add(trouble, "check the store as that host sees it; other nodes have its partitions, if they can reach the store",
			"has said for %s that it can't do its work: %s", since(now, n.UnfitSince), oneLine(n.Unfit))
	}
	uncordon := fmt.Sprintf("`talos node uncordon %s` takes it back", n.ID)
	switch {
	case n.Mark == sdk.MarkDrain && n.Ending:
		add(busy, "", "ends: %s to hand over", count(n.Owned, "partition"))
	case n.Mark == sdk.MarkDrain && n.Registered && n.Owned > 0:
		add(busy, uncordon, "drains: %s to hand over", count(n.Owned, "partition"))
	case n.Mark == sdk.MarkDrain && n.Registered:
		add(well, "it can be stopped; "+uncordon, "is drained")
	case n.Mark == sdk.MarkDrain && n.Owned > 0:
		add(busy, "others take over within seconds; if it lasts, the scheduler's log says why",
			"was draining, and is gone: %s left", count(n.Owned, "partition"))
	case n.Mark == sdk.MarkDrain:
		add(well, fmt.Sprintf("`talos node uncordon %s` forgets it, so that it gets partitions when it starts again", n.ID),
			"is drained, and away")
	case n.Mark == sdk.MarkRestart && n.Registered:
		add(busy, "stop it and start it again; "+uncordon,
			"is about to restart: what it owns is kept for it until %s (%s from now)", clock(n.MarkUntil), until(now, n.MarkUntil))
	case n.Mark == sdk.MarkRestart && now.Before(n.MarkUntil):
		add(busy, fmt.Sprintf("start it; or give its partitions to others at once with `talos node drain %s`", n.ID),
			"is away for a restart: %s wait for it until %s (%s from now)", count(n.Owned, "partition"), clock(n.MarkUntil), until(now, n.MarkUntil))
	case n.Mark == sdk.MarkRestart:
		add(trouble, "find out why; others have its partitions", "did not come back from its restart in time")
	}
	return remarks
}

// versionRemarks tells of nodes that run different builds.
func versionRemarks(s sdk.ClusterStatus) []remark {
	var versions []string
	for _, n := range s.Nodes {
		if n.Registered && !slices.Contains(versions, n.Version) {
			versions = append(versions, n.Version)
		}
	}
	if len(versions) < 2 {
		return nil
	}
	slices.Sort(versions)
	return []remark{{well, "the nodes run different versions: " + strings.Join(versions, ", "), "update one node after the other until they are the same"}}
}

// clock is the time of day.
func clock(t time.Time) string { return t.Format(time.TimeOnly) }
