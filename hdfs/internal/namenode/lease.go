package namenode

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// renewEvery is a third of the time after which others may take the files.
	renewEvery = 20 * time.Second
	// renewAgain is the pause after a renewal that failed.
	renewAgain = 3 * time.Second
)

// renewer is the call that a Lease makes; *Client has it.
type renewer interface {
	RenewLease(ctx context.Context, clientName string) error
}

// Lease renews the lease of one client name while any of its files is open. All
// methods may be called concurrently. A goroutine runs only while it is held.
type Lease struct {
	calls renewer
	name  string
	log   *slog.Logger
	work  sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	held   int
	stop   context.CancelFunc // ends the renewals; nil unless they run
	closed bool
}

// NewLease returns the lease of a client name, held by nobody. The caller must
// Close it before the calls' client.
func NewLease(calls renewer, clientName string, log *slog.Logger) *Lease {
	return &Lease{calls: calls, name: clientName, log: log}
}

// Hold is called before a file is created or opened, which renews by itself; each
// Hold has its Release.
func (l *Lease) Hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held++
	if l.stop != nil || l.closed {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.work.Go(func() { l.renew(ctx) })
}

// Release is called when a file is closed or given up.
func (l *Lease) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held--
	if l.held == 0 {
		l.endLocked()
	}
}

// Close ends the renewals, held or not, and waits for that.
func (l *Lease) Close() {
	l.mu.Lock()
	l.closed = true
	l.endLocked()
	l.mu.Unlock()
	l.work.Wait()
}

func (l *Lease) endLocked() {
	if l.stop != nil {
		l.stop()
		l.stop = nil
	}
}

// renew renews until ctx ends.
func (l *Lease) renew(ctx context.Context) {
	wait, renewed := renewEvery, time.Now()
	for {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		err := l.calls.RenewLease(ctx, l.name)
		switch {
		case err == nil:
			wait, renewed = renewEvery, time.Now()
		case ctx.Err() == nil:
			wait = renewAgain
			l.log.Warn("lease not renewed: after a minute others may take the open segments",
				"client", l.name, "since", time.Since(renewed).Round(time.Second), "error", err)
		}
	}
}
