package partition

import (
	"cmp"
	"container/list"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

const (
	// maxProducers bounds the producers that a partition knows. A new one then takes
	// the place of the one that has been silent longest, or is refused if that was
	// heard within talos.ProducerGrace.
	maxProducers = 10_000
	// producerExpiry is how long a silent producer is known where there is room, by
	// the append time of its last batch.
	producerExpiry = 7 * 24 * time.Hour
)

// producers knows the last batches of each producer, so that a batch which was
// sent again is not stored again. It changes when offsets are assigned; batches
// at or above the acknowledged end are in flight, and truncate takes them back.
//
// Who is forgotten can't send its first batch, sequence 0, again: it would be
// taken for a new one and stored twice. So nobody is who may still do that: none
// with a batch in flight, and none that was heard within talos.ProducerGrace, by a
// clock that nobody sets. A later batch of a forgotten producer is refused.
type producers struct {
	byID map[int64]*producer
	// silent is the ids, the one that was heard of longest ago first.
	silent list.List
}

// producer is what is known of one.
type producer struct {
	batches []segment.ProducerBatch // oldest first, never empty
	// heard is when the last one came, and place the id's place among the silent.
	heard time.Time
	place *list.Element
}

func newProducers() *producers { return &producers{byID: map[int64]*producer{}} }

// of returns the batches of a producer that are known.
func (p *producers) of(id int64) []segment.ProducerBatch {
	if known := p.byID[id]; known != nil {
		return known.batches
	}
	return nil
}

// check decides what a batch is: new (nil, nil), one that was stored or is in
// flight (that one), or an error.
func (p *producers) check(h batch.Header) (*segment.ProducerBatch, error) {
	batches := p.of(h.ProducerID)
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

// makeRoom returns nil if a batch of this producer may be added, and
// TooManyProducers if there would be too many of them.
func (p *producers) makeRoom(id int64, acked talos.Offset) error {
	if p.byID[id] != nil {
		return nil
	}
	for len(p.byID) >= maxProducers {
		if !p.forgetSilent(acked, talos.ProducerGrace) {
			return &talos.Error{
				Kind: talos.TooManyProducers, Op: "partition.Append",
				Detail: fmt.Sprintf("%d producers sent batches within the last %v", maxProducers, talos.ProducerGrace),
			}
		}
	}
	return nil
}

// expire forgets those that have been silent for long, by the node's clock.
func (p *producers) expire(now time.Time, acked talos.Offset) {
	for front := p.silent.Front(); front != nil; front = p.silent.Front() {
		last := p.byID[idOf(front)].last()
		if now.Sub(time.UnixMilli(last.Time)) < producerExpiry || !p.forgetSilent(acked, talos.ProducerGrace) {
			return
		}
	}
}

// forgetSilent forgets the producer that was heard of longest ago, unless that
// was within grace, or something of it is in flight.
func (p *producers) forgetSilent(acked talos.Offset, grace time.Duration) bool {
	front := p.silent.Front()
	known := p.byID[idOf(front)]
	if known.last().Base >= acked || time.Since(known.heard) < grace {
		return false
	}
	p.forget(idOf(front))
	return true
}

func (p *producers) forget(id int64) {
	p.silent.Remove(p.byID[id].place)
	delete(p.byID, id)
}

func idOf(e *list.Element) int64 {
	id, _ := e.Value.(int64) // nothing else is in the list
	return id
}

func (p *producer) last() segment.ProducerBatch { return p.batches[len(p.batches)-1] }

// hear returns a producer that is heard of now, or was at that time.
func (p *producers) hear(id int64, at time.Time) *producer {
	known := p.byID[id]
	if known == nil {
		known = &producer{place: p.silent.PushBack(id)}
		p.byID[id] = known
	}
	known.heard = at
	p.silent.MoveToBack(known.place)
	return known
}

// add remembers a batch that check found to be new, and makeRoom took. Batches
// below acked may be forgotten once there are enough newer ones below it.
func (p *producers) add(h batch.Header, base talos.Offset, timeMs int64, acked talos.Offset) {
	known := p.hear(h.ProducerID, time.Now())
	known.batches = append(known.batches, segment.ProducerBatch{
		Epoch: h.ProducerEpoch, First: h.FirstSequence, Last: h.LastSequence(), Base: base, Time: timeMs,
	})
	// Batches in flight may be taken back; the window must be full without them.
	for len(known.batches) > talos.DuplicateWindow && known.batches[talos.DuplicateWindow].Base < acked {
		known.batches = slices.Delete(known.batches, 0, 1)
	}
}

// truncate forgets the batches at or above end: they were never acknowledged
// and will not be.
func (p *producers) truncate(end talos.Offset) {
	for id, known := range p.byID {
		if kept := below(known.batches, end); len(kept) > 0 {
			known.batches = kept
		} else {
			p.forget(id)
		}
	}
}

// snapshot copies the newest batches below end, ordered by producer id.
func (p *producers) snapshot(end talos.Offset) []segment.Producer {
	all := make([]segment.Producer, 0, len(p.byID))
	for id, known := range p.byID {
		if kept := below(known.batches, end); len(kept) > 0 {
			kept = kept[max(0, len(kept)-talos.DuplicateWindow):]
			all = append(all, segment.Producer{ID: id, Batches: slices.Clone(kept)})
		}
	}
	slices.SortFunc(all, func(a, b segment.Producer) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (p *producers) restore(all []segment.Producer) {
	*p = *newProducers()
	all = slices.DeleteFunc(slices.Clone(all), func(one segment.Producer) bool { return len(one.Batches) == 0 })
	newest := func(one segment.Producer) segment.ProducerBatch { return one.Batches[len(one.Batches)-1] }
	slices.SortFunc(all, func(a, b segment.Producer) int { return cmp.Compare(newest(a).Base, newest(b).Base) })
	for _, one := range all {
		p.hear(one.ID, ago(newest(one).Time)).batches = slices.Clone(one.Batches)
	}
}

// replay adds a batch that is in a segment already; everything below end is
// acknowledged then. What an owner took must be known to the next.
func (p *producers) replay(h batch.Header, timeMs int64) {
	if !h.Idempotent() {
		return
	}
	for p.byID[h.ProducerID] == nil && len(p.byID) >= maxProducers && p.forgetSilent(h.Base, 0) {
	}
	p.add(h, h.Base, timeMs, h.Next())
	p.byID[h.ProducerID].heard = ago(timeMs)
}

// ago returns the time at which something happened, as a reading of the clock
// that nobody sets; now, if the node's clock says that it is still to come.
func ago(ms int64) time.Time {
	now := time.Now()
	return now.Add(-max(0, now.Sub(time.UnixMilli(ms))))
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
