package partition

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// maxProducers bounds the producers that a partition knows. Beyond it the one
// whose last batch is the oldest is forgotten.
const maxProducers = 10_000

// producers knows the last batches of each producer, so that a batch which was
// sent again is not stored again. It changes when offsets are assigned; batches
// at or above the acknowledged end are in flight, and truncate takes them back.
type producers struct {
	byID map[int64][]segment.ProducerBatch // oldest first, never empty
}

func newProducers() *producers {
	return &producers{byID: map[int64][]segment.ProducerBatch{}}
}

// check decides what a batch is: new (nil, nil), one that was stored or is in
// flight (that one), or an error.
func (p *producers) check(h batch.Header) (*segment.ProducerBatch, error) {
	batches := p.byID[h.ProducerID]
	if len(batches) == 0 {
		if h.FirstSequence != 0 {
			return nil, producerError(talos.UnknownProducer, h, "its first batch here has sequence %d", h.FirstSequence)
		}
		return nil, nil
	}
	last := batches[len(batches)-1]
	switch {
	case h.ProducerEpoch < last.Epoch:
		return nil, producerError(talos.ProducerFenced, h, "its epoch is %d, the newest %d", h.ProducerEpoch, last.Epoch)
	case h.ProducerEpoch > last.Epoch:
		if h.FirstSequence != 0 {
			return nil, producerError(talos.OutOfOrderSequence, h, "a new epoch starts with sequence 0, not %d", h.FirstSequence)
		}
		return nil, nil
	}
	for i := range batches {
		b := &batches[i]
		if b.Epoch == h.ProducerEpoch && b.First == h.FirstSequence && b.Last == h.LastSequence() {
			return b, nil
		}
	}
	expected := nextSequence(last.Last)
	if h.FirstSequence == expected {
		return nil, nil
	}
	if behind := (int64(last.Last) - int64(h.LastSequence())) & math.MaxInt32; behind < math.MaxInt32/2 &&
		(int64(expected)-int64(h.FirstSequence))&math.MaxInt32 < math.MaxInt32/2 {
		return nil, producerError(talos.DuplicateSequence, h, "sequence %d to %d, the next one is %d", h.FirstSequence, h.LastSequence(), expected)
	}
	return nil, producerError(talos.OutOfOrderSequence, h, "its sequence is %d, expected was %d", h.FirstSequence, expected)
}

func nextSequence(s int32) int32 { return int32((int64(s) + 1) & math.MaxInt32) }

// add remembers a batch that check found to be new. Batches below acked may be
// forgotten once there are enough newer ones below it.
func (p *producers) add(h batch.Header, base talos.Offset, timeMs int64, acked talos.Offset) {
	batches := p.byID[h.ProducerID]
	if batches == nil && len(p.byID) >= maxProducers {
		p.forgetOldest(acked)
	}
	batches = append(batches, segment.ProducerBatch{
		Epoch: h.ProducerEpoch, First: h.FirstSequence, Last: h.LastSequence(), Base: base, Time: timeMs,
	})
	// Batches in flight may be taken back; the window must be full without them.
	for len(batches) > talos.DuplicateWindow && batches[talos.DuplicateWindow].Base < acked {
		batches = slices.Delete(batches, 0, 1)
	}
	p.byID[h.ProducerID] = batches
}

// forgetOldest drops the producer whose last batch is the oldest, unless that
// is still in flight.
func (p *producers) forgetOldest(acked talos.Offset) {
	oldest, base := int64(batch.NoProducer), acked
	for id, batches := range p.byID {
		if b := batches[len(batches)-1].Base; b < base {
			oldest, base = id, b
		}
	}
	delete(p.byID, oldest)
}

// truncate forgets the batches at or above end: they were never acknowledged
// and will not be.
func (p *producers) truncate(end talos.Offset) {
	for id, batches := range p.byID {
		if kept := below(batches, end); len(kept) > 0 {
			p.byID[id] = kept
		} else {
			delete(p.byID, id)
		}
	}
}

// snapshot copies the newest batches below end, ordered by producer id.
func (p *producers) snapshot(end talos.Offset) []segment.Producer {
	all := make([]segment.Producer, 0, len(p.byID))
	for id, batches := range p.byID {
		if kept := below(batches, end); len(kept) > 0 {
			kept = kept[max(0, len(kept)-talos.DuplicateWindow):]
			all = append(all, segment.Producer{ID: id, Batches: slices.Clone(kept)})
		}
	}
	slices.SortFunc(all, func(a, b segment.Producer) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (p *producers) restore(all []segment.Producer) {
	clear(p.byID)
	for _, one := range all {
		if len(one.Batches) > 0 {
			p.byID[one.ID] = slices.Clone(one.Batches)
		}
	}
}

// replay adds a batch that is in a segment already; everything below end is
// acknowledged then.
func (p *producers) replay(h batch.Header, timeMs int64) {
	if h.Idempotent() {
		p.add(h, h.Base, timeMs, h.Next())
	}
}

func below(batches []segment.ProducerBatch, end talos.Offset) []segment.ProducerBatch {
	n := len(batches)
	for n > 0 && batches[n-1].Base >= end {
		n--
	}
	return batches[:n]
}

func producerError(kind talos.Kind, h batch.Header, format string, args ...any) error {
	return &talos.Error{
		Kind: kind, Op: "partition.Append",
		Detail: fmt.Sprintf("producer %d: ", h.ProducerID) + fmt.Sprintf(format, args...),
	}
}
