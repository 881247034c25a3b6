package coordinator

import (
	"context"
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
)

// retryPause is how long to wait before the KV is asked again after an error.
const retryPause = 200 * time.Millisecond

// Changes is what has changed in a View.
type Changes struct {
	// All tells that anything may have.
	All bool
	// Topics were made, altered or deleted, or their partitions have other owners.
	Topics map[talos.TopicID]struct{}
	// Nodes tells that nodes, their marks, pins or the scheduler have.
	Nodes bool
	// Loads tells that a node has said what its load is.
	Loads bool
}

func (c *Changes) topic(id talos.TopicID) {
	if c.Topics == nil {
		c.Topics = make(map[talos.TopicID]struct{})
	}
	c.Topics[id] = struct{}{}
}

// Add adds others.
func (c *Changes) Add(more Changes) {
	c.All = c.All || more.All
	c.Nodes = c.Nodes || more.Nodes
	c.Loads = c.Loads || more.Loads
	for id := range more.Topics {
		c.topic(id)
	}
}

// Follower tells one reader of a View what has changed since it asked last.
type Follower struct {
	view *View
	wake chan struct{} // has room for one signal
	// changes is guarded by the view's mu.
	changes Changes
}

// Follow returns a Follower; for it, everything is new. Close it.
func (v *View) Follow() *Follower {
	v.mu.Lock()
	defer v.mu.Unlock()
	f := &Follower{view: v, wake: make(chan struct{}, 1)}
	v.followers[f] = struct{}{}
	f.addLocked(Changes{All: true, Nodes: true, Loads: true})
	return f
}

// Close ends it.
func (f *Follower) Close() {
	f.view.mu.Lock()
	defer f.view.mu.Unlock()
	delete(f.view.followers, f)
}

// Wake has a signal if Take has something to tell.
func (f *Follower) Wake() <-chan struct{} { return f.wake }

// Take returns what has changed since the last call.
func (f *Follower) Take() Changes {
	f.view.mu.Lock()
	defer f.view.mu.Unlock()
	c := f.changes
	f.changes = Changes{}
	return c
}

func (f *Follower) addLocked(c Changes) {
	f.changes.Add(c)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// await waits until holds, which is called with mu held for reading, returns true.
func (v *View) await(ctx context.Context, holds func() bool) error {
	for {
		v.mu.RLock()
		ok, moved := holds(), v.moved
		v.mu.RUnlock()
		if ok {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return &talos.Error{Kind: talos.KindOf(ctx.Err()), Op: "coordinator.View", Cause: ctx.Err()}
		}
	}
}

// Moved returns a channel that is closed when something has changed.
func (v *View) Moved() <-chan struct{} {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.moved
}

// View is what the node knows of the cluster.
func (m *Meta) View() *View { return m.view }

// AwaitRevision waits until the view has seen a transaction.
func (m *Meta) AwaitRevision(ctx context.Context, revision int64) error {
	return m.view.await(ctx, func() bool { return m.view.revision >= revision })
}

// maxViewLag is how long the maker of a change waits to see it.
const maxViewLag = 2 * time.Second

// awaitSeen waits until the view shows a transaction that changed a key of it. The
// change is made: a view that lags behind is no error.
func (m *Meta) awaitSeen(ctx context.Context, revision int64) {
	ctx, cancel := context.WithTimeout(ctx, maxViewLag)
	defer cancel()
	if err := m.AwaitRevision(ctx, revision); err != nil {
		m.logger.Warn("a change was made, but the view does not show it yet", "error", err)
	}
}

// watchView keeps the view up to date until Close.
func (m *Meta) watchView() {
	defer m.wg.Done()
	troubled := false
	for {
		err := m.kv.Watch(m.ctx, viewPrefix, func(u Update) {
			if troubled {
				troubled = false
				m.logger.Info("the cluster's view is up to date again", "revision", u.Revision)
			}
			m.view.take(u)
		})
		if m.ctx.Err() != nil {
			return
		}
		if !troubled {
			troubled = true
			m.logger.Warn("the cluster's view can't be kept up to date now, trying again", "error", err)
		}
		pause(m.ctx, retryPause)
	}
}

// awaitFirst waits for the first snapshot.
func (m *Meta) awaitFirst(ctx context.Context) error {
	if err := m.view.await(ctx, func() bool { return m.view.synced }); err != nil {
		return fmt.Errorf("wait for the cluster's view: %w", err)
	}
	return nil
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
