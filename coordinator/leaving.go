package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
)

// LeavingKind is how a node leaves.
type LeavingKind string

// The kinds.
const (
	// LeavingDrain: the node owns nothing any more, as soon as that is possible. It
	// stays until it is taken back.
	LeavingDrain LeavingKind = "drain"
	// LeavingRestart: the node goes away and comes back. What it owns is kept for it
	// until then.
	LeavingRestart LeavingKind = "restart"
)

// Leaving is a mark on a node. An operator's outlives the node; one that a node
// sets as it ends goes with its session, or when it registers anew.
type Leaving struct {
	Kind LeavingKind `json:"kind"`
	// UntilMillis is when a restart must be over, in milliseconds since 1970.
	UntilMillis int64 `json:"until_ms,omitempty"`
	SinceMillis int64 `json:"since_ms"`
	// Ending tells that the node set it itself, since it ends.
	Ending bool `json:"ending,omitempty"`
}

// Until is when a restart must be over.
func (l Leaving) Until() time.Time { return time.UnixMilli(l.UntilMillis) }

// Over tells whether it is a restart whose time is up: it says nothing any more.
func (l Leaving) Over(now time.Time) bool { return l.Kind == LeavingRestart && !now.Before(l.Until()) }

func decodeLeaving(e Entry) (Leaving, error) {
	return decode(e, func(l Leaving) error {
		switch l.Kind {
		case LeavingDrain:
			return nil
		case LeavingRestart:
			if l.UntilMillis <= 0 {
				return errors.New("a restart has no end")
			}
			return nil
		default:
			return fmt.Errorf("unknown kind %q", l.Kind)
		}
	})
}

// Drain marks a node as one that should own nothing, until Uncordon. An operator's
// mark that says so already stays as it is.
func (m *Meta) Drain(ctx context.Context, node string) error {
	return m.race(func() (bool, error) {
		e, err := m.load(ctx, leavingKey(node))
		if err != nil {
			return false, fmt.Errorf("coordinator.Drain: %w", err)
		}
		// As it is, not as the view has it: that may not show an Uncordon yet.
		if drained(e) {
			m.awaitSeen(ctx, e.Revision)
			return true, nil
		}
		return m.mark(ctx, e, Leaving{Kind: LeavingDrain, SinceMillis: m.now().UnixMilli()})
	})
}

// Restart marks a node as one that comes back until then. It fails with
// UnschedulableNode if an operator has drained the node: the restart would end that.
func (m *Meta) Restart(ctx context.Context, node string, until time.Time) error {
	return m.race(func() (bool, error) {
		e, err := m.load(ctx, leavingKey(node))
		if err != nil {
			return false, fmt.Errorf("coordinator.Restart: %w", err)
		}
		if drained(e) {
			return false, &talos.Error{
				Kind: talos.UnschedulableNode, Op: "coordinator.Restart", Subject: node,
				Detail: "it is drained, so there is nothing to keep for it; end and start it as it is, or uncordon it first",
			}
		}
		return m.mark(ctx, e, Leaving{Kind: LeavingRestart, UntilMillis: until.UnixMilli(), SinceMillis: m.now().UnixMilli()})
	})
}

// drained tells whether that is an operator's mark that the node should own nothing.
func drained(e Entry) bool {
	now, err := decodeLeaving(e)
	return e.Revision != 0 && err == nil && now.Kind == LeavingDrain && !now.Ending
}

// mark replaces what was read, unless somebody else did.
func (m *Meta) mark(ctx context.Context, read Entry, mark Leaving) (bool, error) {
	value, err := encode(read.Key, mark)
	if err != nil {
		return false, err
	}
	applied, err := m.change(ctx, []Cond{{Key: read.Key, Revision: read.Revision}}, []Op{Put(read.Key, value)})
	if err != nil {
		err = fmt.Errorf("coordinator.mark: %w", err)
	}
	return applied, err
}

// Uncordon takes a node's mark away; it is no error if there is none.
func (m *Meta) Uncordon(ctx context.Context, node string) error {
	return m.race(func() (bool, error) {
		e, err := m.load(ctx, leavingKey(node))
		if err != nil {
			return false, fmt.Errorf("coordinator.Uncordon: %w", err)
		}
		if e.Revision == 0 {
			return true, nil
		}
		applied, err := m.change(ctx, []Cond{{Key: e.Key, Revision: e.Revision}}, []Op{Delete(e.Key)})
		if err != nil {
			err = fmt.Errorf("coordinator.Uncordon: %w", err)
		}
		return applied, err
	})
}

// LeaveNow marks this node as one that ends, unless it bears an operator's mark that
// is not over. The mark goes with the node's session.
func (m *Meta) LeaveNow(ctx context.Context) error {
	return m.race(func() (bool, error) {
		r := m.registered()
		if r == nil {
			return true, nil
		}
		e, err := m.load(ctx, leavingKey(m.node.ID))
		if err != nil {
			return false, fmt.Errorf("coordinator.LeaveNow: %w", err)
		}
		if e.Revision != 0 {
			if now, err := decodeLeaving(e); err != nil || !now.Ending && !now.Over(m.now()) {
				return true, err
			}
		}
		value, err := encode(e.Key, Leaving{Kind: LeavingDrain, SinceMillis: m.now().UnixMilli(), Ending: true})
		if err != nil {
			return false, err
		}
		return m.change(ctx, []Cond{{Key: e.Key, Revision: e.Revision}}, []Op{PutBound(e.Key, value, r.session.ID())})
	})
}
