package partition

import (
	"sync"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// maxQueueBytes bounds what waits in one partition's queue. One batch is always
// taken if nothing waits.
const maxQueueBytes = 32 << 20

// request is one batch that waits for its acknowledgement.
type request struct {
	header batch.Header
	bytes  []byte
	done   func(Appended, error)
}

// completion is the store's word on one append.
type completion struct {
	from *active
	err  error
}

// inbox carries events to the run goroutine: from callers that append, from the
// store that completes, from Close.
type inbox struct {
	// wake has room for one signal: something below changed.
	wake    chan struct{}
	metrics *Metrics

	mu sync.Mutex // guards the fields below
	// refusal, once set, answers every further request.
	refusal     error
	closing     bool
	requests    []request
	bytes       int
	trims       []trimRequest
	configs     []configRequest
	completions []completion
}

func newInbox(m *Metrics) *inbox {
	return &inbox{wake: make(chan struct{}, 1), metrics: m}
}

func (in *inbox) signal() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// offer queues r, or says why not.
func (in *inbox) offer(r request) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.refusal != nil {
		return in.refusal
	}
	if in.bytes > 0 && in.bytes+len(r.bytes) > maxQueueBytes {
		return &talos.Error{Kind: talos.QueueFull, Op: "partition.Append"}
	}
	in.requests = append(in.requests, r)
	in.bytes += len(r.bytes)
	in.metrics.queued.Add(float64(len(r.bytes)))
	in.signal()
	return nil
}

// take removes waiting requests in order, up to maxBytes but at least one.
func (in *inbox) take(maxBytes int) (taken []request, bytes int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := 0
	for n < len(in.requests) && (n == 0 || bytes+len(in.requests[n].bytes) <= maxBytes) {
		bytes += len(in.requests[n].bytes)
		n++
	}
	taken, in.requests = in.requests[:n:n], in.requests[n:]
	if len(in.requests) == 0 {
		in.requests = nil
	}
	in.bytes -= bytes
	in.metrics.queued.Sub(float64(bytes))
	return taken, bytes
}

// waiting tells whether requests wait.
func (in *inbox) waiting() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.requests) > 0
}

// offerTrim queues a trim, or says why not.
func (in *inbox) offerTrim(r trimRequest) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.refusal != nil {
		return in.refusal
	}
	in.trims = append(in.trims, r)
	in.signal()
	return nil
}

func (in *inbox) takeTrims() []trimRequest {
	in.mu.Lock()
	defer in.mu.Unlock()
	taken := in.trims
	in.trims = nil
	return taken
}

// offerConfig queues a configuration, or says why not.
func (in *inbox) offerConfig(r configRequest) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.refusal != nil {
		return in.refusal
	}
	in.configs = append(in.configs, r)
	in.signal()
	return nil
}

func (in *inbox) takeConfigs() []configRequest {
	in.mu.Lock()
	defer in.mu.Unlock()
	taken := in.configs
	in.configs = nil
	return taken
}

// wakeUp makes the run goroutine look again.
func (in *inbox) wakeUp() { in.signal() }

func (in *inbox) complete(c completion) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.completions = append(in.completions, c)
	in.signal()
}

func (in *inbox) takeCompletions() []completion {
	in.mu.Lock()
	defer in.mu.Unlock()
	taken := in.completions
	in.completions = nil
	return taken
}

// close makes every further request be refused with err; those that wait are
// still taken.
func (in *inbox) close(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closing = true
	if in.refusal == nil {
		in.refusal = err
	}
	in.signal()
}

func (in *inbox) isClosing() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.closing
}
