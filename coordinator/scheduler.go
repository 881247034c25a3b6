package coordinator

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/talos-log/talos/coordinator/schedule"
	"github.com/talos-log/talos/talos"
)

const (
	// maxPlanWait is how long a scheduler waits for a change before it looks again.
	maxPlanWait = 30 * time.Second
	// Of its time, a scheduler plans at most one part in planShare.
	planShare = 2
	// A transaction of the scheduler changes at most so many topics, and about so
	// many bytes.
	maxPlanTopics = 40
	maxPlanBytes  = 512 << 10
)

// Schedule takes part in the election of the scheduler, and plans while it is it,
// until ctx ends or this registration does. One call at a time.
//
//	waiting ──► elected ──► planning ──► applying ──┐
//	   ▲                       ▲                    │ the view shows it
//	   │ another one has it    └────────────────────┘
//	   └──── from everywhere
func (m *Meta) Schedule(ctx context.Context) {
	r := m.registered()
	if r == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()
	go func() {
		select {
		case <-r.lost:
			cancel()
		case <-ctx.Done():
		}
	}()
	f := m.view.Follow()
	defer f.Close()
	troubled := false
	var loadMoved time.Time
	for ctx.Err() == nil {
		err := m.scheduleOnce(ctx, r, f, &loadMoved)
		switch {
		case ctx.Err() != nil:
		case err == nil || errors.Is(err, ErrSessionEnded):
			troubled = false
		default:
			if !troubled {
				troubled = true
				m.logger.Warn("the scheduler can't go on, trying again", "error", err)
			}
			pause(ctx, retryPause)
		}
	}
}

// scheduleOnce makes one attempt to be elected, or one plan, and waits until there
// is a reason for the next. loadMoved is when load last moved something.
func (m *Meta) scheduleOnce(ctx context.Context, r *registration, f *Follower, loadMoved *time.Time) error {
	s := m.view.snapshot()
	if s.scheduler.revision == 0 || s.scheduler.Run != r.run {
		if s.scheduler.revision != 0 && s.scheduler.ID != m.node.ID {
			waitFor(ctx, f, maxPlanWait)
			return nil
		}
		return m.elect(ctx, r, s.scheduler.revision)
	}
	begun := time.Now()
	s.now = m.now()
	state := s.state()
	state.LoadMoved = *loadMoved
	plan := schedule.Next(state)
	took := time.Since(begun)
	revision, err := m.apply(ctx, s, plan.Steps)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(plan.Steps, func(step schedule.Step) bool { return step.ForLoad }) {
		*loadMoved = s.now
	}
	switch {
	case revision > 0:
		if err := m.AwaitRevision(ctx, revision); err != nil {
			return err
		}
	case len(plan.Steps) > 0:
		// What the plan rests on is not so any more: the view will show it.
		waitFor(ctx, f, retryPause)
	}
	if err := m.clearMarks(ctx, s); err != nil {
		return err
	}
	pause(ctx, min(took*(planShare-1), time.Second))
	if len(plan.Steps) > 0 {
		return nil
	}
	wait := maxPlanWait
	if !plan.At.IsZero() {
		wait = min(wait, max(plan.At.Sub(m.now()), 0))
	}
	waitFor(ctx, f, wait)
	return nil
}

// waitFor waits for a change that matters to a plan, or for d.
func waitFor(ctx context.Context, f *Follower, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-f.Wake():
			if c := f.Take(); c.All || c.Nodes || len(c.Topics) > 0 {
				return
			}
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// elect tries to take the scheduler key, which nobody has, or an earlier run of
// this node.
func (m *Meta) elect(ctx context.Context, r *registration, seen int64) error {
	registered, ok := m.condition()
	if !ok {
		return ErrSessionEnded
	}
	value, err := encode(schedulerKey, holder{ID: m.node.ID, Run: r.run})
	if err != nil {
		return err
	}
	revision, err := m.kv.Commit(ctx, []Cond{registered, {Key: schedulerKey, Revision: seen}},
		[]Op{PutBound(schedulerKey, value, r.session.ID())})
	if err != nil {
		return err
	}
	if revision == 0 {
		// Somebody else was faster, and the view will show it; or an answer about the
		// registration was lost, and the next attempt knows what it is.
		if err := m.lookAtOwnKey(ctx); err != nil {
			return err
		}
		waiting, cancel := context.WithTimeout(ctx, retryPause)
		defer cancel()
		_ = m.view.await(waiting, func() bool { return m.view.scheduler.revision != seen })
		return nil
	}
	m.logger.Info("this node is the scheduler now")
	return m.AwaitRevision(ctx, revision)
}

// snapshot is what a plan rests on, as of one moment. What it points to is not
// changed.
type snapshot struct {
	now         time.Time
	revision    int64
	scheduler   schedulerState
	nodes       map[string]Member
	leaving     map[string]Leaving
	loads       map[string]Load
	topics      []storedTopic
	assignments map[talos.TopicID]Assignment
	pins        map[talos.TopicID]Pins
}

func (v *View) snapshot() snapshot {
	v.mu.RLock()
	defer v.mu.RUnlock()
	s := snapshot{
		revision: v.revision, scheduler: v.scheduler,
		nodes: make(map[string]Member, len(v.nodes)), leaving: make(map[string]Leaving, len(v.leaving)),
		loads: make(map[string]Load, len(v.loads)), topics: make([]storedTopic, 0, len(v.byName)),
		assignments: make(map[talos.TopicID]Assignment, len(v.assignments)), pins: make(map[talos.TopicID]Pins, len(v.pins)),
	}
	copyInto(s.nodes, v.nodes)
	copyInto(s.leaving, v.leaving)
	copyInto(s.loads, v.loads)
	copyInto(s.assignments, v.assignments)
	copyInto(s.pins, v.pins)
	for _, t := range v.byName {
		s.topics = append(s.topics, t)
	}
	return s
}

func copyInto[K comparable, V any](to, from map[K]V) {
	for k, v := range from {
		to[k] = v
	}
}

// clearMarks takes away the restart marks whose time is up: of nodes that never went,
// and of those that did not come back, once nothing is kept for them.
func (m *Meta) clearMarks(ctx context.Context, s snapshot) error {
	for id, mark := range s.leaving {
		if !mark.Over(s.now) {
			continue
		}
		_, here := s.nodes[id]
		if owned, coming := m.view.Owned(id); !here && (owned > 0 || coming > 0) {
			continue
		}
		e, err := m.load(ctx, leavingKey(id))
		if err != nil {
			return err
		}
		if now, err := decodeLeaving(e); err != nil || now != mark {
			continue
		}
		m.logger.Warn("a node did not restart within its time", "restarting", id, "away", !here)
		if _, err := m.commit(ctx, []Cond{{Key: e.Key, Revision: e.Revision}}, []Op{Delete(e.Key)}); err != nil {
			return err
		}
	}
	return nil
}
