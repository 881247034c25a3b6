package server

import (
	"context"
	"time"

	"github.com/talos-log/talos/groups"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"google.golang.org/grpc/peer"
)

// heartbeat is one call of Heartbeat.
type heartbeat struct {
	node     *Node
	groups   *coordinators
	at       *groupCoordinator
	request  *talosv1.HeartbeatRequest
	received time.Time

	// The fields below are written by the coordinator's journal, and read after it has
	// said so. changed is closed when there is something new.
	answer  *talosv1.HeartbeatResponse
	refused error
	changed <-chan struct{}
}

// Heartbeat implements talosv1.GroupsServer.
func (s *groupsService) Heartbeat(ctx context.Context, request *talosv1.HeartbeatRequest) (*talosv1.HeartbeatResponse, error) {
	h := &heartbeat{node: s.node, request: request, received: time.Now()}
	if err := groups.ValidateHeartbeat(request); err != nil {
		return nil, err
	}
	err := s.at(ctx, request.GetGroup(), request.GetMemberEpoch() == 0, func(cs *coordinators, c *groupCoordinator) error {
		h.groups, h.at = cs, c
		return h.run(ctx)
	})
	if err == nil {
		err = h.refused
	}
	if err != nil {
		return nil, unknownMember(err, request.GetGroup(), request.GetMemberId())
	}
	return h.answer, nil
}

func (h *heartbeat) run(ctx context.Context) error {
	host := ""
	if p, ok := peer.FromContext(ctx); ok {
		host = p.Addr.String()
	}
	err := h.groups.do(ctx, h.at, func(state *groups.State) {
		h.refused = state.Heartbeat(time.Now(), h.request, host)
	}, h.look)
	if err != nil {
		return err
	}
	// The next coordinator gives all members that much more, so that none is taken out
	// there while it still hears of this one.
	if err := h.at.proof.need(ctx, h.at.log, h.received.Add(-groups.ConfirmFresh)); err != nil {
		return err
	}
	h.node.metrics.heartbeatSeconds.Observe(time.Since(h.received).Seconds())
	wait := groups.MaxWait(h.request.GetMaxWaitMs(), h.answer.GetSessionTimeoutMs())
	if h.refused != nil || h.answer.GetMemberEpoch() != h.request.GetMemberEpoch() || wait <= 0 {
		return nil
	}
	return h.wait(ctx, wait)
}

// look puts the answer together.
func (h *heartbeat) look(state *groups.State) {
	if h.refused != nil {
		return
	}
	if h.request.GetMemberEpoch() < 0 {
		h.answer = &talosv1.HeartbeatResponse{MemberEpoch: h.request.GetMemberEpoch()}
		return
	}
	h.answer, h.refused = state.Answer(h.request.GetGroup(), h.request.GetMemberId())
	if h.refused == nil {
		// Who is no member is woken by nothing, and would be kept for ever.
		h.changed = h.at.waiters.wait(groups.MemberKey{Group: h.request.GetGroup(), Member: h.request.GetMemberId()})
	}
}

// wait waits for something new. One heartbeat more than the node lets wait is
// answered at once: there is nothing wrong with its answer.
func (h *heartbeat) wait(ctx context.Context, atMost time.Duration) error {
	select {
	case h.node.longPolls <- struct{}{}:
		defer func() { <-h.node.longPolls }()
	default:
		return nil
	}
	h.node.metrics.longPolls.Inc()
	defer h.node.metrics.longPolls.Dec()
	deadline := time.NewTimer(atMost)
	defer deadline.Stop()
	for h.refused == nil && h.answer.GetMemberEpoch() == h.request.GetMemberEpoch() {
		select {
		case <-h.changed:
		case <-deadline.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-h.at.journal.Done():
			return h.groups.moved(h.at, h.at.journal.Err())
		case <-h.node.closing:
			return h.node.notActive()
		}
		// After an error, look may still run: nothing of h is read then.
		if err := h.groups.do(ctx, h.at, func(*groups.State) {}, h.look); err != nil {
			return err
		}
	}
	return nil
}
