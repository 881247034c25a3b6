package s3

import (
	"sync"
	"time"

	"github.com/talos-log/talos/storage"
)

const (
	// handOverTime is for how long a run may be taken over. A takeover under load takes
	// seconds.
	handOverTime = 10 * time.Second
	// handOverChunks bounds the chunks of all runs that wait for it, of 16 bytes each.
	handOverChunks = 1 << 20
)

// handOver keeps what one call of a takeover (List, Recover, Open) has listed for
// the next, each run for one call: to list a segment of thousands of chunks takes
// long. Of what it holds, a listing could contradict nothing but that the segment is
// there still: chunks never change, and those behind them are listed when the run is
// taken.
type handOver struct {
	mu     sync.Mutex // guards the fields below
	runs   map[storage.ID]handed
	chunks int
}

type handed struct {
	run run
	at  time.Time
}

// put replaces what was there for the segment.
func (h *handOver) put(id storage.ID, r run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropLocked(id)
	now := time.Now()
	for other, one := range h.runs {
		if now.Sub(one.at) > handOverTime {
			h.dropLocked(other)
		}
	}
	if h.chunks+len(r.chunks) > handOverChunks {
		return
	}
	if h.runs == nil {
		h.runs = map[storage.ID]handed{}
	}
	h.runs[id] = handed{run: r, at: now}
	h.chunks += len(r.chunks)
}

// has tells whether there is a run of the segment to take.
func (h *handOver) has(id storage.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	one, ok := h.runs[id]
	return ok && time.Since(one.at) <= handOverTime
}

// take returns the run of a segment, once; one that does not exist if there is none.
func (h *handOver) take(id storage.ID) run {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.runs[id]
	h.dropLocked(id)
	if time.Since(one.at) > handOverTime {
		return run{}
	}
	return one.run
}

func (h *handOver) dropLocked(id storage.ID) {
	h.chunks -= len(h.runs[id].run.chunks)
	delete(h.runs, id)
}
