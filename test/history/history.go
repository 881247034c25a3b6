package history

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/talos-log/talos/talos"
)

// ID identifies one record: the producer that sent it, and its place among all
// that this producer sent, from 0 on.
type ID struct {
	Producer int
	Sequence int
}

// String returns "producer/sequence", the form that ParseID reads.
func (id ID) String() string { return fmt.Sprintf("%d/%d", id.Producer, id.Sequence) }

// ParseID is the strict inverse of String.
func ParseID(s string) (ID, error) {
	var id ID
	if _, err := fmt.Sscanf(s, "%d/%d", &id.Producer, &id.Sequence); err != nil || id.String() != s {
		return ID{}, fmt.Errorf("%q is not a record's id", s)
	}
	return id, nil
}

// Digest stands for the whole content of a record.
type Digest [sha256.Size]byte

// DigestOf covers key, value, headers and timestamp; nil and empty differ.
func DigestOf(r *talos.Record) Digest {
	h := sha256.New()
	part := func(b []byte) {
		n := int64(len(b))
		if b == nil {
			n = -1
		}
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
		h.Write(b)
	}
	part(r.Key)
	part(r.Value)
	for i := range r.Headers {
		part([]byte(r.Headers[i].Key))
		part(r.Headers[i].Value)
	}
	part(binary.BigEndian.AppendUint64(nil, uint64(r.Timestamp.UnixMilli())))
	return Digest(h.Sum(nil))
}

// Tick is a moment: how many events came before.
type Tick int64

// never is later than every event.
const never Tick = 1<<63 - 1

type position struct {
	partition int32
	offset    talos.Offset
}

func (p position) String() string {
	return fmt.Sprintf("offset %d of partition %d", p.offset, p.partition)
}

// send is one record from the side of its producer.
type send struct {
	id        ID
	partition int32
	digest    Digest
	sent      Tick
	// ended is when the outcome was known, else never.
	ended Tick
	// clock is when that was.
	clock   time.Time
	outcome outcome
	ack     Ack   // if acked
	err     error // if it ended otherwise
}

// outcome is what a producer was told of a record.
type outcome int

const (
	unanswered outcome = iota
	acked
	// failed: an error that the producer should not have met.
	failed
	// unknown: an error that a producer without an id must live with. The record may
	// have been stored or not, or may be yet.
	unknown
	// refused: it was certainly not stored, and will not be.
	refused
)

// Ack is an acknowledgement.
type Ack struct {
	Partition int32
	Offset    talos.Offset
	// Epoch is the owner's that gave it; 0 if that is not known.
	Epoch talos.Epoch
	// Duplicate says that the owner had the record already, from itself or from an
	// earlier one.
	Duplicate bool
}

func (a Ack) position() position { return position{a.Partition, a.Offset} }

// read is one record from the side of a reader.
type read struct {
	position
	id     ID
	digest Digest
}

// History is what happened. Its methods may be called concurrently.
type History struct {
	mu     sync.Mutex // guards the fields below
	tick   Tick
	acks   int
	sends  []*send
	byID   map[ID]*send
	reads  map[string][]read
	ranges map[string][]seenRange
	epochs map[int32]talos.Epoch
	// trims has the highest offset that somebody wanted a partition to start at.
	trims  map[int32]talos.Offset
	misuse []Anomaly
}

// New returns an empty history.
func New() *History {
	return &History{
		byID: map[ID]*send{}, reads: map[string][]read{}, ranges: map[string][]seenRange{}, epochs: map[int32]talos.Epoch{},
		trims: map[int32]talos.Offset{},
	}
}

// next advances the clock. Requires mu.
func (h *History) next() Tick {
	h.tick++
	return h.tick
}

// Send says that a record is about to be sent. Call it before the record is
// handed over, in the order in which the producer hands records over.
func (h *History) Send(id ID, partition int32, d Digest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &send{id: id, partition: partition, digest: d, sent: h.next(), ended: never}
	if h.byID[id] != nil {
		h.misuse = append(h.misuse, Anomaly{Misuse, fmt.Sprintf("the test sent %v twice", id)})
		return
	}
	h.byID[id] = s
	h.sends = append(h.sends, s)
}

// Acked says that a record was acknowledged.
func (h *History) Acked(id ID, a Ack) {
	h.end(id, acked, func(s *send) {
		s.ack = a
		h.acks++
		h.epochs[a.Partition] = max(h.epochs[a.Partition], a.Epoch)
		if s.partition != a.Partition {
			h.misuse = append(h.misuse, Anomaly{
				InconsistentOffsets,
				fmt.Sprintf("%v was sent to partition %d and acknowledged by partition %d", id, s.partition, a.Partition),
			})
		}
	})
}

// Failed says that a record got an error instead of an acknowledgement, and that
// its producer is one that should get none. It may have been stored or not.
func (h *History) Failed(id ID, err error) { h.end(id, failed, func(s *send) { s.err = err }) }

// Unknown says that a record got an error, as may be where its producer does not
// send it again. It may have been stored or not, or may be yet.
func (h *History) Unknown(id ID, err error) { h.end(id, unknown, func(s *send) { s.err = err }) }

// Refused says that a record got an error that promises that it was not stored.
func (h *History) Refused(id ID, err error) { h.end(id, refused, func(s *send) { s.err = err }) }

func (h *History) end(id ID, o outcome, apply func(*send)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, tick := h.byID[id], h.next()
	switch {
	case s == nil:
		h.misuse = append(h.misuse, Anomaly{Phantom, fmt.Sprintf("%v was answered, and never sent", id)})
	case s.ended != never:
		h.misuse = append(h.misuse, Anomaly{AnsweredTwice, fmt.Sprintf("%v was answered twice", id)})
	default:
		s.ended, s.clock, s.outcome = tick, time.Now(), o
		apply(s)
	}
}

// Read says that a reader got a record. Each reader's records are reported in
// the order in which it got them; it starts each partition at its first record.
func (h *History) Read(reader string, partition int32, offset talos.Offset, id ID, d Digest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next()
	h.reads[reader] = append(h.reads[reader], read{position{partition, offset}, id, d})
}

// Trim says that a partition's start is about to be moved up to an offset: what lies
// below may be gone from now on, also if the call fails.
func (h *History) Trim(partition int32, offset talos.Offset) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next()
	h.trims[partition] = max(h.trims[partition], offset)
}

// Now is the moment of the newest event.
func (h *History) Now() Tick {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tick
}

// Acks counts the acknowledgements until now.
func (h *History) Acks() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.acks
}

// AckedOfSince counts the acknowledged records that were sent later than t: none
// of these acknowledgements can be one that was still on its way at t.
func (h *History) AckedOfSince(t Tick) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for i := len(h.sends) - 1; i >= 0 && h.sends[i].sent > t; i-- {
		if h.sends[i].outcome == acked {
			n++
		}
	}
	return n
}

// AckedIn counts, for each partition, the acknowledged records that were sent later
// than t.
func (h *History) AckedIn(since Tick) map[int32]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := map[int32]int{}
	for i := len(h.sends) - 1; i >= 0 && h.sends[i].sent > since; i-- {
		if h.sends[i].outcome == acked {
			counts[h.sends[i].partition]++
		}
	}
	return counts
}

// Epochs returns the newest epoch of each partition that has acknowledged.
func (h *History) Epochs() map[int32]talos.Epoch {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.epochs)
}

// AckedBetween counts the acknowledgements that came later than from, and not
// later than to.
func (h *History) AckedBetween(from, to Tick) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, s := range h.sends {
		if s.outcome == acked && s.ended > from && s.ended <= to {
			n++
		}
	}
	return n
}

// Ends returns, for each partition, the offset behind the last acknowledged
// record: what a reader must at least reach.
func (h *History) Ends() map[int32]talos.Offset {
	h.mu.Lock()
	defer h.mu.Unlock()
	ends := map[int32]talos.Offset{}
	for _, s := range h.sends {
		if s.outcome == acked {
			ends[s.partition] = max(ends[s.partition], s.ack.Offset+1)
		}
	}
	return ends
}
