package sdk

import (
	"context"
	"fmt"
	"maps"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// What a heartbeat's member_epoch says of a member that goes.
const (
	leavesForGood = -1
	comesBack     = -2
)

// heartbeatAnswer is what one came back with.
type heartbeatAnswer struct {
	answer *talosv1.HeartbeatResponse
	err    error
	// outdated says that it was not waited for, and there is no answer.
	outdated bool
}

// run sends heartbeats until ctx ends, or the group can't be joined.
func (m *membership) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		switch wait := m.beat(ctx, &failures); {
		case wait < 0:
			return
		case wait > 0:
			m.rest(ctx, wait)
		}
	}
}

// rest waits, or until there is something to say.
func (m *membership) rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.nudge:
	case <-ctx.Done():
	}
}

// beat sends one heartbeat and takes its answer. It returns how long to wait for
// the next one, -1 if there is none.
func (m *membership) beat(ctx context.Context, failures *int) time.Duration {
	if goodbye := m.hangUp(); goodbye != nil {
		m.farewell(ctx, goodbye, leavesForGood)
	}
	request, id, ok := m.request()
	if !ok {
		return time.Hour // until Poll has dropped what was lost, which is said by a nudge
	}
	began := time.Now()
	got := m.send(ctx, request)
	took := time.Since(began)
	if ctx.Err() != nil {
		return -1
	}
	switch kind := talos.KindOf(got.err); {
	case got.err == nil:
		*failures = 0
		if m.take(id, began, got.answer) || took >= m.interval/2 {
			return 0
		}
		return m.interval
	case got.outdated:
		m.lapses()
		return 0 // there is something newer to say
	case kind == talos.UnknownMember, kind == talos.FencedMember:
		m.lose(id, got.err)
		return 0
	case !talos.Retryable(got.err) && !unreachable(kind):
		m.mu.Lock()
		defer m.mu.Unlock()
		m.fatal, m.assigned = got.err, nil
		m.noteLocked()
		return -1
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastErr = got.err
	m.lapseLocked(got.err)
	*failures++
	return backoffAfter(*failures - 1)
}

// hangUp makes a member lost whose application stays away for too long, and returns
// what it said last; nil if it does not. It is lost before the coordinator hears of
// it: an application that comes back meanwhile reads nothing that others get.
func (m *membership) hangUp() *talosv1.HeartbeatRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.epoch == 0 || m.lost || m.inPoll || time.Since(m.left) < m.cfg.processing {
		return nil
	}
	goodbye := m.stateLocked()
	m.loseLocked(&talos.Error{
		Kind: talos.FencedMember, Op: "sdk.Group", Subject: m.group,
		Detail: fmt.Sprintf("the application has not called Poll for %v, and may hang", m.cfg.processing),
	})
	return goodbye
}

// request states all there is to say; false while the member is out and Poll does
// not know yet.
func (m *membership) request() (*talosv1.HeartbeatRequest, string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost {
		return nil, "", false
	}
	select {
	case <-m.nudge: // it is said now
	default:
	}
	return m.stateLocked(), m.id, true
}

// stateLocked is all there is to say.
func (m *membership) stateLocked() *talosv1.HeartbeatRequest {
	m.sequence++
	return &talosv1.HeartbeatRequest{
		Group: m.group, MemberId: m.id, MemberEpoch: m.epoch, Sequence: m.sequence, InstanceId: m.cfg.instance,
		Topics: m.cfg.topics, ClientId: m.cfg.client, Owned: m.owned.wire(),
		SessionTimeoutMs: int32(m.cfg.session.Milliseconds()), RebalanceTimeoutMs: int32(m.cfg.processing.Milliseconds()),
		MaxWaitMs: int32(m.interval.Milliseconds()),
	}
}

// send waits for the answer, but no longer than until there is something newer to
// say, or the session is over, or the application hangs.
func (m *membership) send(ctx context.Context, request *talosv1.HeartbeatRequest) heartbeatAnswer {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(request.GetMaxWaitMs())*time.Millisecond+answerTime)
	defer cancel()
	answers := make(chan heartbeatAnswer, 1)
	go func() {
		var answer *talosv1.HeartbeatResponse
		err := m.coordinator.call(ctx, "sdk.Group", func(ctx context.Context, p *peer) (err error) {
			answer, err = p.groups.Heartbeat(ctx, request)
			return err
		})
		answers <- heartbeatAnswer{answer: answer, err: err}
	}()
	timer := time.NewTimer(m.patience())
	defer timer.Stop()
	select {
	case got := <-answers:
		return got
	case <-m.nudge:
	case <-timer.C:
	}
	cancel()
	got := <-answers
	got.outdated = got.err != nil
	return got
}

// patience is until the member must look at itself again.
func (m *membership) patience() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	wait := m.cfg.session
	if m.epoch != 0 {
		wait = time.Until(m.deadline)
	}
	if m.epoch != 0 && !m.inPoll {
		wait = min(wait, time.Until(m.left.Add(m.cfg.processing)))
	}
	return max(wait, time.Millisecond)
}

// take takes an answer to what the member of this id said, and tells whether it
// changes anything. The session counts from when it was sent.
func (m *membership) take(id string, sent time.Time, answer *talosv1.HeartbeatResponse) (news bool) {
	assigned := fromWire(answer.GetAssigned())
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.id != id || m.lost {
		return true
	}
	session := time.Duration(answer.GetSessionTimeoutMs()) * time.Millisecond
	if session <= 0 {
		session = m.cfg.session
	}
	m.deadline, m.lastErr = sent.Add(session), nil
	if interval := time.Duration(answer.GetIntervalMs()) * time.Millisecond; interval > 0 {
		m.interval = interval
	}
	news = m.epoch != answer.GetMemberEpoch() || !maps.Equal(m.assigned, assigned)
	m.epoch, m.assigned = answer.GetMemberEpoch(), assigned
	if news {
		m.noteLocked()
	}
	return news
}

// leave says goodbye, if the member is one.
func (m *membership) leave(ctx context.Context) {
	request, _, ok := m.request()
	switch {
	case !ok || request.GetMemberEpoch() == 0:
	case m.cfg.instance != "":
		m.farewell(ctx, request, comesBack)
	default:
		m.farewell(ctx, request, leavesForGood)
	}
}

// farewell is sent once: without it the session ends by itself.
func (m *membership) farewell(ctx context.Context, request *talosv1.HeartbeatRequest, how int32) {
	request.MemberEpoch, request.MaxWaitMs = how, 0
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	err := m.coordinator.call(ctx, "sdk.Group", func(ctx context.Context, p *peer) error {
		_, err := p.groups.Heartbeat(ctx, request)
		return err
	})
	if err != nil {
		m.coordinator.client.cfg.logger.Debug("the group was left without a farewell", "group", m.group, "error", err)
	}
}
