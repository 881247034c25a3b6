package server

import (
	"time"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/talos"
)

// mayTake returns why the scheduler gives a node nothing now: a pin to it would be
// passed over.
func mayTake(view *coordinator.View, op, id string) error {
	member, there := view.Member(id)
	mark, marked := view.Leaving(id)
	refusal := &talos.Error{Kind: talos.UnschedulableNode, Op: op}
	switch {
	case !there && marked && mark.Kind == coordinator.LeavingRestart && !mark.Over(time.Now()):
		refusal.Detail = id + " is away for a restart"
	case !there:
		return unknownNode(op, id)
	case marked && mark.Ending:
		refusal.Detail = id + " is ending"
	case marked && mark.Kind == coordinator.LeavingDrain:
		refusal.Detail = id + " drains"
	case member.Unfit != nil:
		refusal.Detail = id + " can't do its work: " + member.Unfit.Reason
	default:
		return nil
	}
	return refusal
}
