package simulate

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/talos-log/talos/talos"
)

// gate is what stands between a host and the world: all its calls pass it.
type gate struct {
	mu              sync.Mutex // guards the fields below; never held while waiting
	frozen          bool
	thawedAt        time.Time
	noEtcd, noStore bool
	// thawed is closed while the host runs, etcdLost while it has no way to etcd, dead
	// when its process is gone.
	thawed, etcdLost, dead chan struct{}
}

func newGate() *gate {
	g := &gate{thawed: make(chan struct{}), dead: make(chan struct{}), etcdLost: make(chan struct{})}
	close(g.thawed)
	return g
}

// wakeTime is how long it may take until a host that goes on after a freeze has
// looked at its clock: its other threads may be first.
const wakeTime = 300 * time.Millisecond

var errDead = errors.New("the process is gone")

// run waits until the host runs.
func (g *gate) run(ctx context.Context) error {
	g.mu.Lock()
	thawed := g.thawed
	g.mu.Unlock()
	select {
	case <-g.dead:
		return errDead
	default:
	}
	select {
	case <-thawed:
		return nil
	case <-g.dead:
		return errDead
	case <-ctx.Done():
		return ctx.Err()
	}
}

// etcd waits until a call may reach etcd, or fails if none can.
func (g *gate) etcd(ctx context.Context) error { return g.way(ctx, &g.noEtcd, talos.MetaUnavailable) }

// store waits until a call may reach the store.
func (g *gate) store(ctx context.Context) error {
	return g.way(ctx, &g.noStore, talos.StoreUnavailable)
}

func (g *gate) way(ctx context.Context, cut *bool, kind talos.Kind) error {
	if err := g.run(ctx); err != nil {
		return &talos.Error{Kind: kind, Op: "simulate", Cause: err}
	}
	g.mu.Lock()
	closed := *cut
	g.mu.Unlock()
	if closed {
		return &talos.Error{Kind: kind, Op: "simulate", Detail: "there is no way"}
	}
	return nil
}

// lost is closed when the way to etcd breaks, or the process is gone.
func (g *gate) lost() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.etcdLost
}

func (g *gate) freeze() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.frozen {
		g.frozen, g.thawed = true, make(chan struct{})
	}
}

func (g *gate) thaw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.frozen {
		g.frozen, g.thawedAt = false, time.Now()
		close(g.thawed)
	}
}

func (g *gate) isFrozen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.frozen
}

// awake tells whether the host runs, and has had the time to look at its clock.
func (g *gate) awake() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.frozen && time.Since(g.thawedAt) > wakeTime
}

func (g *gate) cutEtcd(cut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case cut && !g.noEtcd:
		g.noEtcd = true
		close(g.etcdLost)
	case !cut && g.noEtcd:
		g.noEtcd, g.etcdLost = false, make(chan struct{})
	}
}

func (g *gate) cutStore(cut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.noStore = cut
}

func (g *gate) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.dead)
}

func (g *gate) isDead() bool {
	select {
	case <-g.dead:
		return true
	default:
		return false
	}
}
