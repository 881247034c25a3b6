package sdk

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/talos-log/talos/talos"
)

// Between attempts lies a delay that starts at minBackoff and doubles up to
// maxBackoff; half of it is random, so that clients don't come back together.
const (
	minBackoff = 10 * time.Millisecond
	maxBackoff = time.Second
)

// backoffAfter is the delay before the attempt that follows failures others.
func backoffAfter(failures int) time.Duration {
	d := maxBackoff
	if failures < 7 {
		d = min(minBackoff<<failures, maxBackoff)
	}
	return d/2 + rand.N(d/2)
}

// pause waits, and tells whether ctx is still good.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// patiently calls f again while it fails with what passes by itself. A node that
// can't be reached at all is not waited for: the address may be wrong.
func patiently(ctx context.Context, op, subject string, f func() error) error {
	for failures := 0; ; failures++ {
		err := f()
		if err == nil || !talos.Retryable(err) || unreachable(talos.KindOf(err)) || ctx.Err() != nil {
			return err
		}
		if !pause(ctx, backoffAfter(failures)) {
			return endError(ctx, op, subject, err)
		}
	}
}
