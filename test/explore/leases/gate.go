package leases

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/talos-log/talos/coordinator"
)

const (
	view         = "/talos/v1/view/"
	schedulerKey = view + "scheduler"
)

// gate is a node's way to etcd: what changes something, and what is told, waits until
// it is chosen.
type gate struct {
	coordinator.KV
	n *node
}

// Commit implements coordinator.KV.
func (g gate) Commit(ctx context.Context, conds []coordinator.Cond, ops []coordinator.Op) (int64, error) {
	if err := g.n.r.wait(ctx, g.n.id+": commit "+strings.TrimPrefix(ops[0].Key, view)); err != nil {
		return 0, err
	}
	if g.n.r.mutant == noElection {
		conds = slices.DeleteFunc(slices.Clone(conds), func(c coordinator.Cond) bool { return c.Key == schedulerKey && len(conds) > 2 })
	}
	// Nothing else happens meanwhile: events are chosen one by one.
	scheduler, owner, registered := g.state(ctx)
	revision, err := g.KV.Commit(ctx, conds, ops)
	if err != nil || revision == 0 {
		return revision, err
	}
	switch key := ops[0].Key; {
	case strings.HasPrefix(key, view+"assignments/") && g.n.id != scheduler && g.n.id != owner:
		g.n.r.breaks("%s changed the assignment; the scheduler was %q, the owner %q", g.n.id, scheduler, owner)
	case strings.HasPrefix(key, "/talos/v1/records/") && isRaise(conds) && (g.n.id != owner || !registered):
		g.n.r.breaks("%s raised the epoch; the owner was %q, registered: %v", g.n.id, owner, registered)
	}
	return revision, nil
}

// isRaise tells a raise from a swap, which rests on the record alone.
func isRaise(conds []coordinator.Cond) bool {
	return slices.ContainsFunc(conds, func(c coordinator.Cond) bool { return strings.HasPrefix(c.Key, view+"nodes/") })
}

// state is who is the scheduler and the owner now, and whether this node is registered.
func (g gate) state(ctx context.Context) (scheduler, owner string, registered bool) {
	entries, err := g.Load(ctx, schedulerKey, view+"assignments/"+g.n.r.topic.ID.String(), view+"nodes/"+g.n.id)
	if err != nil {
		return "", "", false
	}
	var elected struct{ ID string }
	_ = json.Unmarshal(entries[0].Value, &elected) // empty if nobody is
	var assigned struct {
		Nodes  []string
		Owners []int
	}
	if json.Unmarshal(entries[1].Value, &assigned) == nil && len(assigned.Owners) > 0 && assigned.Owners[0] >= 0 {
		owner = assigned.Nodes[assigned.Owners[0]]
	}
	return elected.ID, owner, entries[2].Revision != 0
}

// Watch implements coordinator.KV.
func (g gate) Watch(ctx context.Context, prefix string, take func(coordinator.Update)) error {
	return g.KV.Watch(ctx, prefix, func(u coordinator.Update) {
		if !u.Snapshot && g.n.r.wait(ctx, g.n.id+": hears of a change") != nil {
			return
		}
		take(u)
	})
}

// OpenSession implements coordinator.KV.
func (g gate) OpenSession(ctx context.Context) (coordinator.Session, error) {
	inner, err := g.KV.OpenSession(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{Session: inner, done: make(chan struct{})}
	g.n.wg.Go(func() {
		<-inner.Done()
		// The node hears of it when it is chosen: until then it is frozen, or its clock is.
		_ = g.n.r.wait(context.Background(), g.n.id+": sees that its session is over")
		close(s.done)
	})
	return s, nil
}

// session is one whose end its node sees late.
type session struct {
	coordinator.Session
	done chan struct{}
}

// Done implements coordinator.Session.
func (s *session) Done() <-chan struct{} { return s.done }
