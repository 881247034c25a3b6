package partition

import (
	"context"
	"sync"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

const (
	// DefaultHistoryBytes is the budget of a node's cache of history.
	DefaultHistoryBytes = 96 << 20
	// chunkBytes is the unit in which history is read and kept.
	chunkBytes = 1 << 20
	// readAhead is how many chunks are read before a reader that goes on asks for
	// them; all that nobody has asked for yet take half of the budget at most.
	readAhead = 4
	// maxRanges bounds the reads of the store that are under way for history.
	maxRanges = 16
	// indexShare is the part of the budget that the indexes of segments may take.
	indexShare = 8
	// indexEntryCost and indexCost are what an index takes in memory, about.
	indexEntryCost, indexCost = 24, 512
)

// History reads what is no longer in the tails, for all partitions of a node:
// whole aligned chunks of segments, each once for all that want it at a time, some
// of them ahead, within a budget of bytes of its own. So a reader that catches up
// takes nothing from those at the tail, and nothing from the writers. It may be
// used by many logs at once, of one store.
type History struct {
	readers *readers
	// slots has a token for each range that is being read.
	slots chan struct{}
	// ctx ends with Close, which waits for workers, the reads under way.
	ctx     context.Context
	stop    context.CancelFunc
	workers sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	closed bool
	chunks *lru[chunkKey, *chunk]
	// ahead is the bytes of chunks that were read ahead and nobody has used yet.
	ahead   int64
	indexes *lru[indexKey, openSegment]
}

type chunkKey struct {
	id     storage.ID
	number int64
}

// indexKey is a segment as it was loaded up to a limit: the last one of a chain
// is loaded again once the log has grown beyond it.
type indexKey struct {
	id    storage.ID
	limit talos.Offset
}

// chunk is a part of a segment. All but ahead and used is fixed once ready is
// closed; bytes are never changed.
type chunk struct {
	want  int64
	ready chan struct{}
	bytes []byte
	err   error
	// ahead tells that it was read ahead, used that somebody asked for it.
	ahead, used bool
}

var errHistoryClosed error = &talos.Error{Kind: talos.NotServing, Op: "partition.History", Detail: "it is closed"}

// NewHistory makes a cache of this many bytes; 0 means DefaultHistoryBytes. Close
// it after all logs that use it.
func NewHistory(bytes int64) *History {
	if bytes <= 0 {
		bytes = DefaultHistoryBytes
	}
	h := &History{
		slots:   make(chan struct{}, maxRanges),
		chunks:  newLRU[chunkKey, *chunk](bytes - bytes/indexShare),
		indexes: newLRU[indexKey, openSegment](bytes / indexShare),
	}
	h.readers = newReaders(&h.workers)
	h.chunks.evicted = func(c *chunk) { h.touchLocked(c) }
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// Close ends all reads under way and closes what is open. What is read later
// fails.
func (h *History) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.stop()
	h.readers.close()
	h.workers.Wait()
}

// Bytes is what the cache holds now.
func (h *History) Bytes() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.chunks.cost + h.indexes.cost
}

// forget drops what is known of a segment: it is gone, or was found damaged and
// may be restored.
func (h *History) forget(id storage.ID) {
	h.mu.Lock()
	h.chunks.removeIf(func(k chunkKey) bool { return k.id == id })
	h.indexes.removeIf(func(k indexKey) bool { return k.id == id })
	h.mu.Unlock()
	h.readers.forget(id)
}

func (h *History) index(id storage.ID, limit talos.Offset) (openSegment, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.indexes.get(indexKey{id, limit})
}

func (h *History) keepIndex(id storage.ID, limit talos.Offset, seg openSegment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.indexes.put(indexKey{id, limit}, seg, int64(len(seg.index))*indexEntryCost+indexCost)
}

// get returns the chunk with at least its first need bytes, which may still be on
// their way, and reads some more ahead for who goes on.
func (h *History) get(s source, number, need int64) *chunk {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := chunkKey{s.id, number}
	c, ok := h.chunks.get(key)
	if !ok || c.want < need {
		c = h.startLocked(s, key, c, false)
	}
	if !c.used && (number == 0 || c.ahead || h.chunks.has(chunkKey{s.id, number - 1})) {
		h.readAheadLocked(s, number)
	}
	h.touchLocked(c)
	c.used = true
	return c
}

// touchLocked takes a chunk off the account of those read ahead.
func (h *History) touchLocked(c *chunk) {
	if c.ahead {
		c.ahead = false
		h.ahead -= c.want
	}
}

func (h *History) readAheadLocked(s source, number int64) {
	for n := number + 1; n <= number+readAhead && n*chunkBytes < s.end; n++ {
		key := chunkKey{s.id, n}
		if h.chunks.has(key) {
			continue
		}
		if h.ahead+chunkBytes > h.chunks.limit/2 {
			return
		}
		select {
		case h.slots <- struct{}{}:
		default:
			return // those who wait for what they asked for come first
		}
		c := h.startLocked(s, key, nil, true)
		c.ahead = true
		h.ahead += c.want
	}
}

// startLocked starts the one read of a chunk, of which old has the beginning if it
// is not nil; hasSlot tells that the caller took the slot for it.
func (h *History) startLocked(s source, key chunkKey, old *chunk, hasSlot bool) *chunk {
	c := &chunk{want: min(chunkBytes, s.end-key.number*chunkBytes), ready: make(chan struct{})}
	if h.closed {
		c.err = errHistoryClosed
		close(c.ready)
		if hasSlot {
			<-h.slots
		}
		return c
	}
	h.chunks.put(key, c, c.want)
	h.workers.Go(func() { h.fill(s, key, c, old, hasSlot) })
	return c
}

// fill reads what a chunk wants. One that failed is not kept.
func (h *History) fill(s source, key chunkKey, c, old *chunk, hasSlot bool) {
	defer close(c.ready)
	var have []byte
	if old != nil {
		<-old.ready
		have = old.bytes
	}
	c.bytes, c.err = h.read(s, key, c.want, have, hasSlot)
	if c.err == nil && int64(len(c.bytes)) == c.want {
		return
	}
	if c.err != nil && h.ctx.Err() != nil {
		c.err = errHistoryClosed
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if now, ok := h.chunks.get(key); ok && now == c {
		h.chunks.remove(key)
	}
}

func (h *History) read(s source, key chunkKey, want int64, have []byte, hasSlot bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(h.ctx, opTimeout)
	defer cancel()
	if !hasSlot {
		select {
		case h.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	defer func() { <-h.slots }()
	b := make([]byte, want)
	n := copy(b, have)
	got, err := h.readers.readAt(ctx, s.store, s.id, b[n:], key.number*chunkBytes+int64(n))
	return b[:n+got], err
}
