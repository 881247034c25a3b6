package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/talos-log/talos/talos"
)

// releaseTimeout bounds the attempt to end a session; past it, the session ends
// by itself.
const releaseTimeout = 2 * time.Second

// registration is one stay of the node in the cluster.
//
//	Register ──► held ──► lost      (session ended, key gone or taken over, Close)
type registration struct {
	// run tells it apart from others under the same id.
	run     string
	session Session
	// cancel ends it.
	cancel context.CancelFunc
	// since is the transaction that made it.
	since int64
	// revision is the newest of its key; Meta.mu guards it.
	revision int64
	// lost is closed when it is over, ended when its session is closed as well.
	lost, ended chan struct{}
}

// Register makes the node a member of the cluster, under a session: it is one
// until Lost. A registration under the same id (an earlier run of this node) is
// taken over at once. Register waits while the KV is unavailable, and while
// another process has taken this node's id over. It may be called again after a
// loss; one call at a time.
func (m *Meta) Register(ctx context.Context) error {
	if m.registered() != nil {
		return nil
	}
	troubled, foreign := false, false // logged, since the last attempt without
	for {
		err := m.tryRegister(ctx)
		if err == nil {
			m.logger.Info("registered", "address", m.node.Address)
			return nil
		}
		again := talos.Retryable(err) || errors.Is(err, ErrSessionEnded) || errors.Is(err, errLostRace)
		if ctx.Err() != nil || !again {
			return fmt.Errorf("coordinator.Register: %w", err)
		}
		var taken *takenOver
		switch {
		case errors.Is(err, errLostRace):
			continue
		case errors.As(err, &taken):
			if !foreign {
				foreign = true
				m.logger.Error("another process runs under this node's id: this one waits for it to end; give each node its own id",
					"address", taken.by.Address)
			}
		case !troubled:
			troubled = true
			m.logger.Warn("can't register yet, trying again", "error", err)
		}
		pause(ctx, retryPause)
	}
}

var errLostRace = errors.New("somebody else changed the node's key first")

// takenOver is the error of a node whose id another process has.
type takenOver struct{ by Member }

func (e *takenOver) Error() string { return "another process is registered under this node's id" }

func (e *takenOver) Unwrap() error {
	return &talos.Error{Kind: talos.MetaUnavailable, Op: "coordinator.Register", Detail: e.Error()}
}

// tryRegister makes one attempt.
func (m *Meta) tryRegister(ctx context.Context) error {
	entries, err := m.kv.Load(ctx, nodeKey(m.node.ID), leavingKey(m.node.ID))
	if err != nil {
		return err
	}
	if before, err := decodeMember(entries[0]); err == nil && m.runs > 0 && !m.isOwnRun(before.Run) {
		return &takenOver{before}
	}
	m.runs++
	unfit := m.currentUnfit()
	r := &registration{run: m.process + "." + strconv.Itoa(m.runs), lost: make(chan struct{}), ended: make(chan struct{})}
	member := Member{Node: m.node, StartedMillis: m.now().UnixMilli(), Unfit: unfit, Run: r.run}
	value, err := encode(entries[0].Key, member)
	if err != nil {
		return err
	}
	if r.session, err = m.kv.OpenSession(ctx); err != nil {
		return err
	}
	conds := []Cond{{Key: entries[0].Key, Revision: entries[0].Revision}}
	ops := []Op{PutBound(entries[0].Key, value, r.session.ID())}
	if mark, err := decodeLeaving(entries[1]); err == nil && (mark.Kind == LeavingRestart || mark.Ending) {
		// It is back. A mark of a run that was killed as it ended lasts as long as that
		// run's session.
		conds = append(conds, Cond{Key: entries[1].Key, Revision: entries[1].Revision})
		ops = append(ops, Delete(entries[1].Key))
	}
	r.since, err = m.kv.Commit(ctx, conds, ops)
	if err == nil && r.since == 0 {
		err = errLostRace
	}
	if err == nil {
		if err = m.hold(r); err == nil {
			return m.correct(ctx, unfit)
		}
	}
	// Also if the outcome is unknown: with its session the key goes, if it is there.
	m.endSession(ctx, r.session)
	return err
}

// correct says what SetUnfit has left to this registration, if it came too late for it;
// else it ends the registration.
func (m *Meta) correct(ctx context.Context, said *Unfit) error {
	if m.currentUnfit() == said {
		return nil
	}
	err := m.writeUnfit(ctx)
	if err != nil {
		m.Deregister()
	}
	return err
}

func (m *Meta) isOwnRun(run string) bool { return strings.HasPrefix(run, m.process+".") }

// hold makes the registration known, and starts what watches it.
func (m *Meta) hold(r *registration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return &talos.Error{Kind: talos.Closed, Op: "coordinator.Register"}
	}
	r.revision = r.since
	m.registration = r
	ctx, cancel := context.WithCancel(m.ctx)
	r.cancel = cancel
	m.wg.Add(1)
	go m.guard(ctx, r)
	return nil
}

// guard owns the session of a registration. It ends when the registration does.
func (m *Meta) guard(owner context.Context, r *registration) {
	defer m.wg.Done()
	defer close(r.ended)
	ctx, cancel := context.WithCancel(owner)
	defer cancel()
	replaced := make(chan struct{})
	go func() {
		defer close(replaced)
		// Its only error is that ctx ended.
		_ = m.view.await(ctx, func() bool {
			return m.view.revision >= r.since && m.view.nodes[m.node.ID].Run != r.run
		})
	}()

	reason := ""
	select {
	case <-r.session.Done():
		reason = "the session with etcd ended"
	case <-replaced:
		reason = "the key is gone or taken over"
	case <-owner.Done():
	}
	cancel()
	<-replaced

	m.mu.Lock()
	r.revision = 0
	m.mu.Unlock()
	close(r.lost)
	if owner.Err() == nil {
		m.logger.Warn("this node is not registered any more: it serves nothing until it is again", "reason", reason)
	}
	m.endSession(owner, r.session)
	r.cancel()
}

// Deregister ends the registration, if there is one, and returns when it is over.
func (m *Meta) Deregister() {
	m.mu.Lock()
	r := m.registration
	m.mu.Unlock()
	if r != nil {
		r.cancel()
		<-r.ended
	}
}

func (m *Meta) endSession(ctx context.Context, session Session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := session.Close(ctx); err != nil {
		m.logger.Warn("the session was not ended in time, it ends by itself", "error", err)
	}
}

// registered returns the registration that is held, or nil.
func (m *Meta) registered() *registration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.registration == nil || m.registration.revision == 0 {
		return nil
	}
	return m.registration
}

// found tells whether a run that stands in the node's key is this registration. What it
// wrote last may be news to it, if the answer was lost.
func (m *Meta) found(run string, revision int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.registration
	if r == nil || r.revision == 0 || r.run != run {
		return false
	}
	r.revision = max(r.revision, revision)
	return true
}

// lookAtOwnKey is found for what the node's key says now. If the registration is gone,
// its guard hears of that.
func (m *Meta) lookAtOwnKey(ctx context.Context) error {
	e, err := m.load(ctx, nodeKey(m.node.ID))
	if err != nil || e.Revision == 0 {
		return err
	}
	member, err := decodeMember(e)
	if err == nil {
		m.found(member.Run, e.Revision)
	}
	return err
}

// condition returns what holds while this node is registered, in this very
// registration; false without one.
func (m *Meta) condition() (Cond, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.registration == nil || m.registration.revision == 0 {
		return Cond{}, false
	}
	return Cond{Key: nodeKey(m.node.ID), Revision: m.registration.revision}, true
}

// Lost returns a channel that is closed when the newest registration is over: its
// session ended, its key is gone, or it was taken over. Without one it is closed
// already.
func (m *Meta) Lost() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.registration == nil {
		lost := make(chan struct{})
		close(lost)
		return lost
	}
	return m.registration.lost
}

// Ping asks the KV for something.
func (m *Meta) Ping(ctx context.Context) error {
	_, err := m.load(ctx, clusterKey)
	return err
}

func (m *Meta) currentUnfit() *Unfit {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unfit
}

// SetUnfit says in the registration that the node can't do its work, or, with an
// empty reason, that it can. A node that is not registered says so with its next
// registration.
func (m *Meta) SetUnfit(ctx context.Context, reason string) error {
	m.mu.Lock()
	switch {
	case reason == "":
		m.unfit = nil
	case m.unfit == nil:
		m.unfit = &Unfit{Reason: reason, SinceMillis: m.now().UnixMilli()}
	default:
		m.unfit = &Unfit{Reason: reason, SinceMillis: m.unfit.SinceMillis}
	}
	m.mu.Unlock()
	return m.writeUnfit(ctx)
}

// writeUnfit brings the registration, if there is one, up to date.
func (m *Meta) writeUnfit(ctx context.Context) error {
	return m.race(func() (bool, error) {
		r := m.registered()
		if r == nil {
			return true, nil
		}
		e, err := m.load(ctx, nodeKey(m.node.ID))
		if err != nil {
			return false, err
		}
		member, err := decodeMember(e)
		if err != nil || member.Run != r.run {
			return true, err // it is not ours any more
		}
		member.Unfit = m.currentUnfit()
		value, err := encode(e.Key, member)
		if err != nil {
			return false, err
		}
		return m.rewrite(ctx, r, Cond{Key: e.Key, Revision: e.Revision}, PutBound(e.Key, value, r.session.ID()))
	})
}

// rewrite changes the registration's own key.
func (m *Meta) rewrite(ctx context.Context, r *registration, unchanged Cond, put Op) (bool, error) {
	revision, err := m.kv.Commit(ctx, []Cond{unchanged}, []Op{put})
	if errors.Is(err, ErrSessionEnded) {
		return true, nil
	}
	if err != nil || revision == 0 {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.revision != 0 {
		r.revision = max(r.revision, revision)
	}
	return true, nil
}
