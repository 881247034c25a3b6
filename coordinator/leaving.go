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
// sets as it ends goes with its session.
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

// Drain marks a node as one that should own nothing, until Uncordon.
func (m *Meta) Drain(ctx context.Context, node string) error {
	return m.mark(ctx, node, Leaving{Kind: LeavingDrain, SinceMillis: m.now().UnixMilli()})
}

// Restart marks a node as one that comes back until then.
func (m *Meta) Restart(ctx context.Context, node string, until time.Time) error {
	return m.mark(ctx, node, Leaving{Kind: LeavingRestart, UntilMillis: until.UnixMilli(), SinceMillis: m.now().UnixMilli()})
}

func (m *Meta) mark(ctx context.Context, node string, mark Leaving) error {
	key := leavingKey(node)
	value, err := encode(key, mark)
	if err != nil {
		return err
	}
	return m.settled(ctx, "coordinator.Leaving", nil, []Op{Put(key, value)})
}

// Uncordon takes a node's mark away; it is no error if there is none.
func (m *Meta) Uncordon(ctx context.Context, node string) error {
	const op = "coordinator.Uncordon"
	e, err := m.load(ctx, leavingKey(node))
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if e.Revision == 0 {
		return nil
	}
	return m.settled(ctx, op, []Cond{{Key: e.Key, Revision: e.Revision}}, []Op{Delete(e.Key)})
}

// LeaveNow marks this node as one that ends, unless an operator has marked it
// already. The mark goes with the node's session.
func (m *Meta) LeaveNow(ctx context.Context) error {
	r := m.registered()
	if r == nil {
		return nil
	}
	key := leavingKey(m.node.ID)
	value, err := encode(key, Leaving{Kind: LeavingDrain, SinceMillis: m.now().UnixMilli(), Ending: true})
	if err != nil {
		return err
	}
	revision, err := m.kv.Commit(ctx, []Cond{{Key: key}}, []Op{PutBound(key, value, r.session.ID())})
	if err != nil || revision == 0 {
		return err
	}
	m.awaitSeen(ctx, revision)
	return nil
}

// settled commits what changes a key of the view, and waits until the node's own
// view shows it.
func (m *Meta) settled(ctx context.Context, op string, conds []Cond, ops []Op) error {
	revision, err := m.kv.Commit(ctx, conds, ops)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", op, err)
	case revision == 0:
		return &talos.Error{Kind: talos.MetaUnavailable, Op: op, Detail: "somebody else changed it first: try again"}
	default:
		m.awaitSeen(ctx, revision)
		return nil
	}
}
