package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
)

const (
	// retryPause is how long to wait before the KV is asked again after an error.
	retryPause = 200 * time.Millisecond
	// releaseTimeout bounds the attempt to end a session; past it, the session
	// ends by itself.
	releaseTimeout = 2 * time.Second
)

// claim is one winning of the active key.
//
//	Claim ──► held ──► lost      (session ended, key gone or taken over, Close)
type claim struct {
	// revision is the active key's while the claim is held, then 0. Meta.mu guards it.
	revision int64
	// lost is closed after revision became 0.
	lost chan struct{}
}

// Claim returns nil when this node is the active one. If a node of the same id
// holds the claim (an earlier run of this node), it is taken over at once;
// otherwise Claim waits until the holder's key is gone. It waits also while the
// KV is unavailable. It may be called again after a loss; one call at a time.
func (m *Meta) Claim(ctx context.Context) error {
	if m.claimRevision() != 0 {
		return nil
	}
	var waitingFor int64 // the revision of the claim that was logged
	troubled := false    // since the last attempt without an error, and logged
	for {
		held, err := m.tryClaim(ctx, func(e Entry, holder Node) {
			if waitingFor != e.Revision {
				waitingFor = e.Revision
				m.logger.Info("waiting for another node to end", "holder", holder.ID, "address", holder.Address)
			}
		})
		if held {
			m.logger.Info("this node is active now", "address", m.node.Address)
			return nil
		}
		if err == nil {
			troubled = false
			continue
		}
		again := talos.Retryable(err) || errors.Is(err, ErrSessionEnded)
		if ctx.Err() != nil || !again {
			return fmt.Errorf("coordinator.Claim: %w", err)
		}
		if !troubled {
			troubled = true
			m.logger.Warn("can't claim to be the active node yet, trying again", "error", err)
		}
		pause(ctx, retryPause)
	}
}

// tryClaim makes one attempt: it takes the key if it may, and otherwise waits
// until it has changed.
func (m *Meta) tryClaim(ctx context.Context, waiting func(Entry, Node)) (held bool, err error) {
	e, err := m.load(ctx, activeKey)
	if err != nil {
		return false, err
	}
	if e.Revision != 0 {
		holder, err := decodeNode(e)
		if err != nil {
			return false, err
		}
		if holder.ID != m.node.ID {
			waiting(e, holder)
			return false, m.kv.Wait(ctx, activeKey, e.Revision)
		}
	}
	value, err := encode(activeKey, m.node)
	if err != nil {
		return false, err
	}
	session, err := m.kv.OpenSession(ctx)
	if err != nil {
		return false, err
	}
	revision, err := m.kv.Commit(ctx, []Cond{{Key: activeKey, Revision: e.Revision}},
		[]Op{PutBound(activeKey, value, session.ID())})
	if err == nil && revision != 0 {
		err = m.hold(revision, session)
		if err == nil {
			return true, nil
		}
	}
	// Also if the outcome is unknown: with its session the key goes, if it is there.
	m.endSession(ctx, session)
	return false, err
}

// hold makes the claim known, and starts what watches it.
func (m *Meta) hold(revision int64, session Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return &talos.Error{Kind: talos.Closed, Op: "coordinator.Claim"}
	}
	c := &claim{revision: revision, lost: make(chan struct{})}
	m.claim = c
	m.wg.Add(1)
	go m.watch(c, revision, session)
	return nil
}

// watch owns the session of a claim. It ends when the claim does.
func (m *Meta) watch(c *claim, revision int64, session Session) {
	defer m.wg.Done()
	ctx, cancel := context.WithCancel(m.ctx)
	defer cancel()
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		m.awaitChange(ctx, revision)
	}()

	reason := ""
	select {
	case <-session.Done():
		reason = "the session with etcd ended"
	case <-changed:
		reason = "the key is gone or taken over"
	case <-m.ctx.Done():
	}
	cancel()
	<-changed

	m.mu.Lock()
	c.revision = 0
	m.mu.Unlock()
	close(c.lost)
	if m.ctx.Err() == nil {
		m.logger.Warn("this node is no longer active", "reason", reason)
	}
	m.endSession(m.ctx, session)
}

// awaitChange returns when the active key has another revision, or with ctx.
func (m *Meta) awaitChange(ctx context.Context, revision int64) {
	for ctx.Err() == nil {
		if m.kv.Wait(ctx, activeKey, revision) == nil {
			return
		}
		pause(ctx, retryPause) // the session's end tells if this lasts
	}
}

func (m *Meta) endSession(ctx context.Context, session Session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := session.Close(ctx); err != nil {
		m.logger.Warn("the session was not ended in time, it ends by itself", "error", err)
	}
}

// claimRevision returns the revision of the claim that is held, or 0.
func (m *Meta) claimRevision() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.claim == nil {
		return 0
	}
	return m.claim.revision
}

// Lost returns a channel that is closed when the newest claim is not held any
// more: its session ended, its key is gone, or it was taken over. Without a
// claim it is closed already.
func (m *Meta) Lost() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.claim == nil {
		lost := make(chan struct{})
		close(lost)
		return lost
	}
	return m.claim.lost
}

// Active returns the node that holds the claim now; false if none does.
func (m *Meta) Active(ctx context.Context) (Node, bool, error) {
	e, err := m.load(ctx, activeKey)
	if err != nil {
		return Node{}, false, fmt.Errorf("coordinator.Active: %w", err)
	}
	if e.Revision == 0 {
		return Node{}, false, nil
	}
	node, err := decodeNode(e)
	return node, err == nil, err
}

// pause waits for d, or less if ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
