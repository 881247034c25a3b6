package simulate

import (
	"context"
	"sync"
	"time"
)

// misfortune lets things go wrong for a while, and returns when all of it is over.
func (w *world) misfortune(ctx context.Context) {
	var under sync.WaitGroup
	over := time.Now().Add(w.within(30*time.Second, time.Minute))
	for time.Now().Before(over) {
		sleep(w.within(200*time.Millisecond, 5*time.Second))
		ids := w.ids()
		id := ids[w.int(len(ids))]
		if !w.begin(id) {
			continue
		}
		befall := w.pick()
		under.Go(func() {
			defer w.finish(id)
			befall(ctx, id)
		})
	}
	under.Wait()
}

// begin tells whether nothing else befalls a host now.
func (w *world) begin(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[id] {
		return false
	}
	w.busy[id] = true
	return true
}

func (w *world) finish(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.busy, id)
}

func (w *world) pick() func(ctx context.Context, id string) {
	all := []func(ctx context.Context, id string){
		w.crash, w.crash, w.freeze, w.freeze, w.freeze, w.cutEtcd, w.cutEtcd, w.cutStore, w.unsure, w.unsure, w.drain, w.leave, w.restart,
	}
	return all[w.int(len(all))]
}

func (w *world) crash(_ context.Context, id string) {
	w.count("crash")
	w.host(id).crash()
	sleep(w.within(0, 15*time.Second))
	w.start(id)
}

func (w *world) freeze(_ context.Context, id string) {
	w.count("freeze")
	g := w.host(id).gate
	g.freeze()
	sleep(w.within(500*time.Millisecond, 25*time.Second))
	g.thaw()
}

func (w *world) cutEtcd(_ context.Context, id string) {
	w.count("no way to etcd")
	g := w.host(id).gate
	g.cutEtcd(true)
	sleep(w.within(500*time.Millisecond, 20*time.Second))
	g.cutEtcd(false)
}

func (w *world) cutStore(_ context.Context, id string) {
	w.count("no way to the store")
	g := w.host(id).gate
	g.cutStore(true)
	sleep(w.within(500*time.Millisecond, 30*time.Second))
	g.cutStore(false)
}

// unsure makes calls of all hosts late, or leaves them without an answer.
func (w *world) unsure(context.Context, string) {
	set := func(p float64) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.trouble = p
	}
	set(0.02 + w.float()/5)
	sleep(w.within(time.Second, 8*time.Second))
	set(0)
}

func (w *world) drain(ctx context.Context, id string) {
	if w.admin.Drain(ctx, id) == nil {
		w.count("drain")
	}
	sleep(w.within(0, 15*time.Second))
	for w.admin.Uncordon(ctx, id) != nil {
		sleep(retryAfter)
	}
}

func (w *world) leave(_ context.Context, id string) {
	w.count("orderly end")
	w.host(id).leave()
	sleep(w.within(0, 5*time.Second))
	w.start(id)
}

func (w *world) restart(ctx context.Context, id string) {
	if w.admin.Restart(ctx, id, time.Now().Add(w.within(time.Second, 20*time.Second))) == nil {
		w.count("restart")
	}
	w.host(id).end()
	sleep(w.within(0, 15*time.Second))
	w.start(id)
}
