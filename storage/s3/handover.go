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
	// handOverRuns and handOverChunks bound the runs that wait for it, and the chunks of all
	// of them, of 16 bytes each. Both stay until the next one is put.
	handOverRuns   = 1024
	handOverChunks = 1 << 19
)

// handOver keeps what one call of a takeover (List, Recover, Open) has listed for
// the next, each run for one call: to list a segment of thousands of chunks takes
// long. Chunks never change; whoever takes a run looks whether its segment is there
// still, and lists what came behind.
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
	if len(h.runs) >= handOverRuns || h.chunks+len(r.chunks) > handOverChunks {
		return
	}
	if h.runs == nil {
		h.runs = map[storage.ID]handed{}
	}
	h.runs[id] = handed{run: r, at: now}
	h.chunks += len(r.chunks)
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
