package simulate

import (
	"context"
	"errors"
	"time"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/talos"
)

// wire is a host's way to etcd: coordinator/mem behind a gate, with leases.
type wire struct {
	inner coordinator.KV
	w     *world
	h     *host
}

func (k *wire) Load(ctx context.Context, keys ...string) ([]coordinator.Entry, error) {
	if err := k.pass(ctx); err != nil {
		return nil, err
	}
	return k.inner.Load(ctx, keys...)
}

func (k *wire) List(ctx context.Context, prefix string) ([]coordinator.Entry, error) {
	if err := k.pass(ctx); err != nil {
		return nil, err
	}
	return k.inner.List(ctx, prefix)
}

// Commit may come late, or its answer may be lost.
func (k *wire) Commit(ctx context.Context, conds []coordinator.Cond, ops []coordinator.Op) (int64, error) {
	if err := k.pass(ctx); err != nil {
		return 0, err
	}
	lost := &talos.Error{Kind: talos.MetaUnavailable, Op: "simulate.Commit", Detail: "no answer"}
	switch p, trouble := k.w.fate(); {
	case p < trouble:
		k.w.count("commit without an answer")
		_, err := k.inner.Commit(ctx, conds, ops)
		if errors.Is(err, coordinator.ErrSessionEnded) {
			return 0, err
		}
		return 0, lost
	case p < 2*trouble:
		k.w.count("late commit")
		k.w.late.Go(func() {
			sleep(k.w.within(0, 3*time.Second))
			_, _ = k.inner.Commit(context.Background(), conds, ops) // nobody hears of it
		})
		return 0, lost
	}
	revision, err := k.inner.Commit(ctx, conds, ops)
	if err == nil {
		err = k.h.gate.run(ctx)
	}
	return revision, err
}

// Watch breaks with the way.
func (k *wire) Watch(ctx context.Context, prefix string, take func(coordinator.Update)) error {
	if err := k.pass(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lost := k.h.gate.lost()
	go func() {
		select {
		case <-lost:
		case <-k.h.gate.dead:
		case <-ctx.Done():
		}
		cancel()
	}()
	return k.inner.Watch(ctx, prefix, func(u coordinator.Update) {
		sleep(k.w.within(0, 20*time.Millisecond))
		if k.h.gate.run(ctx) == nil {
			take(u)
		}
	})
}

func (k *wire) pass(ctx context.Context) error {
	if err := k.h.gate.etcd(ctx); err != nil {
		return err
	}
	sleep(k.w.within(0, 4*time.Millisecond))
	return k.h.gate.etcd(ctx)
}

// The leases, as etcd's driver has them.
const (
	timeToLive = 10 * time.Second
	keepAlive  = timeToLive / 3
	// A host believes in its session for 9/10 of its time, from the sending on.
	belief = timeToLive * 9 / 10
)

// lease is a session that ends by itself.
type lease struct {
	coordinator.Session
	w      *world
	h      *host
	expiry *time.Timer // at etcd
	over   chan struct{}
	done   chan struct{}
	closed chan struct{}
	ended  chan struct{}
}

func (k *wire) OpenSession(ctx context.Context) (coordinator.Session, error) {
	sent := time.Now()
	if err := k.pass(ctx); err != nil {
		return nil, err
	}
	inner, err := k.inner.OpenSession(ctx)
	if err != nil {
		return nil, err
	}
	l := &lease{
		Session: inner, w: k.w, h: k.h, over: make(chan struct{}),
		done: make(chan struct{}), closed: make(chan struct{}), ended: make(chan struct{}),
	}
	l.expiry = time.AfterFunc(timeToLive, l.expire)
	k.h.opened(l)
	go l.keep(sent)
	return l, nil
}

// Done is closed by the host's own clock.
func (l *lease) Done() <-chan struct{} { return l.done }

// Close ends the session at etcd if there is a way.
func (l *lease) Close(ctx context.Context) error {
	select {
	case <-l.closed:
		return nil
	default:
		close(l.closed)
	}
	<-l.ended
	if err := l.h.gate.etcd(ctx); err != nil {
		return err
	}
	if l.expiry.Stop() {
		l.endAtEtcd()
	}
	return nil
}

// expire is when etcd has not heard of the session for its time to live: nobody may
// serve on it any more.
func (l *lease) expire() {
	l.w.count("lease expired")
	if l.h.gate.awake() && !l.h.gate.isDead() && l.h.servesOn(l) {
		l.w.anomaly("serves-without-session", "%s serves though its session is over", l.h.id)
	}
	l.endAtEtcd()
}

func (l *lease) endAtEtcd() {
	_ = l.Session.Close(context.Background()) // in memory
	close(l.over)
}

// keep sends keep-alives, and ends the belief in the session in time.
func (l *lease) keep(sent time.Time) {
	defer close(l.ended)
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	for {
		deadline := time.NewTimer(time.Until(sent.Add(belief)))
		if l.w.mutant == NoLeaseMargin {
			deadline.Stop()
		}
		select {
		case <-l.closed:
			deadline.Stop()
			return
		case <-l.h.gate.dead:
			deadline.Stop()
			return
		case <-deadline.C:
			// A frozen host can't look at its clock.
			frozen := l.h.gate.isFrozen()
			if l.h.gate.run(context.Background()) == nil {
				if frozen {
					sleep(l.w.within(0, wakeTime))
				}
				close(l.done)
			}
			return
		case <-ticker.C:
			deadline.Stop()
			at := time.Now()
			if l.h.gate.isFrozen() || l.h.gate.etcd(context.Background()) != nil {
				continue
			}
			if !l.expiry.Reset(timeToLive) {
				l.expiry.Stop()
				close(l.done) // etcd says that it is over
				return
			}
			sent = at
		}
	}
}

// befall decides about the calls of a host to its store.
func (h *host) befall(call faulty.Call) faulty.Fault {
	way := func(ctx context.Context) error {
		if err := h.gate.store(ctx); err != nil {
			return err
		}
		sleep(h.w.within(0, 6*time.Millisecond))
		return h.gate.store(ctx)
	}
	f := faulty.Fault{Before: way}
	lost := &talos.Error{Kind: talos.StoreUnavailable, Op: "simulate." + string(call.Op), Detail: "no answer"}
	switch p, trouble := h.w.fate(); {
	case p < trouble/4:
		h.w.count("store call without an answer")
		f.After = faulty.Fail(lost)
	case p < trouble/2:
		h.w.count("store call failed")
		f.Before = faulty.Fail(lost)
	default:
		f.After = func(ctx context.Context) error { return h.gate.run(ctx) }
	}
	return f
}
