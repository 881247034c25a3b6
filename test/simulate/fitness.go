package simulate

import (
	"context"
	"time"
)

const (
	probeEvery = 2 * time.Second
	// storeGrace is how long a host may have no way to the store until it says so.
	storeGrace = 4 * time.Second
)

// watchStore says in the host's registration whether it can do its work, as
// talos/server does: others get its partitions while it can't.
func (t *term) watchStore() {
	var since time.Time // there has been no way; zero if there is one
	for t.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(t.ctx, probeEvery)
		_, err := t.h.store.List(ctx, "probe")
		cancel()
		switch {
		case err == nil:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		t.tellFit(!since.IsZero() && time.Since(since) >= storeGrace)
		t.h.pause(probeEvery)
	}
}

// tellFit says so if it was not said already, or may not have been heard.
func (t *term) tellFit(unfit bool) {
	if t.h.saidUnfit == unfit && (!t.h.unheard || t.h.w.mutant == SaysOnce) {
		return
	}
	reason := ""
	if unfit {
		reason = "no way to the store"
	}
	ctx, cancel := context.WithTimeout(t.ctx, probeEvery)
	defer cancel()
	if t.h.unheard = t.h.meta.SetUnfit(ctx, reason) != nil; t.h.unheard {
		return
	}
	t.h.saidUnfit = unfit
	if unfit {
		t.h.w.count("unfit")
	}
}
