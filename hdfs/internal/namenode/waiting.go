package namenode

import (
	"errors"
	"strings"
	"sync"
	"time"
)

const (
	// sayFirst is when a call that has no answer is said to wait, and sayAgain how
	// often a client says so, whatever the number of its calls.
	sayFirst = 2 * time.Second
	sayAgain = 10 * time.Second
)

// errSilent: no attempt has ended yet.
var errSilent = errors.New("no answer")

// waiting is a call that may take long, which the log then says.
type waiting struct {
	client *Client
	method string
	begun  time.Time

	mu    sync.Mutex  // guards the fields below
	timer *time.Timer // nil when the call is over
	last  error
}

// wait is called when a call begins.
func (c *Client) wait(method string) *waiting {
	w := &waiting{client: c, method: method, begun: time.Now(), last: errSilent}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(sayFirst, w.say)
	return w
}

// failed notes why an attempt failed.
func (w *waiting) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = err
}

// over ends it.
func (w *waiting) over() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.timer = nil
}

func (w *waiting) say() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		return
	}
	w.timer.Reset(sayAgain)
	if !w.client.quiet(time.Now()) {
		return
	}
	w.client.log.Warn("waiting for the NameNode", "call", w.method, "namenodes", strings.Join(w.client.addresses, ","),
		"since", time.Since(w.begun).Round(time.Second), "limit", totalTime, "error", explain(w.last))
}

// quiet tells whether it was quiet for long enough.
func (c *Client) quiet(now time.Time) bool {
	last := c.said.Load()
	return now.UnixNano()-last >= int64(sayAgain) && c.said.CompareAndSwap(last, now.UnixNano())
}
