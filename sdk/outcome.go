package sdk

import (
	"errors"
	"fmt"
	"strings"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc/codes"
)

// How much an error knows of a record that was not delivered.
const (
	notSent        = "it was not sent"
	notStored      = "it was not stored"
	outcomeUnknown = "whether it was stored is unknown"
)

// refusal is what a node's error means for a batch and what comes after it.
type refusal int

const (
	// failsBatch: the batch fails, and the sequence has a hole.
	failsBatch refusal = iota
	// passes: the same bytes may be sent again.
	passes
	// forgets: the node knows nothing of the producer; new producer id.
	forgets
	// noHole: the batch has no offset to tell, but it is stored.
	noHole
	// moved: somebody else owns the partition.
	moved
	// isMissing: the node knows no such partition, which may be new, or gone.
	isMissing
	// endsProducer: nothing more can be sent.
	endsProducer
)

func meaning(kind talos.Kind) refusal {
	switch kind {
	case talos.UnknownProducer:
		return forgets
	case talos.DuplicateSequence:
		return noHole
	case talos.NotOwner:
		return moved
	case talos.UnknownTopic, talos.UnknownPartition:
		return isMissing
	case talos.OutOfOrderSequence, talos.ProducerFenced:
		return endsProducer
	default:
		if kind.Class().Retryable {
			return passes
		}
		return failsBatch
	}
}

// refusesStreams tells whether a node that ends a stream so will end the next one
// as well.
func refusesStreams(kind talos.Kind) bool {
	switch kind.Class().Code {
	case codes.InvalidArgument, codes.NotFound:
		return true
	default:
		return kind == talos.Incompatible
	}
}

// keptOut tells whether a node that answers so has certainly not stored the
// batch, by this attempt.
func keptOut(kind talos.Kind) bool {
	switch kind {
	case talos.InvalidBatch, talos.BatchTooLarge, talos.RecordTooLarge, talos.CorruptBatch, talos.InvalidRequest,
		talos.OutOfOrderSequence, talos.UnknownProducer, talos.ProducerFenced, talos.UnknownTopic, talos.UnknownPartition,
		talos.QueueFull, talos.TooManyProducers, talos.NotServing:
		return true
	default:
		return false
	}
}

// refused takes a node's error for a batch.
func (l *pipeline) refused(f *batchInFlight, err error, now time.Time) {
	n, kind := f.lane, talos.KindOf(err)
	m := meaning(kind)
	if n.follows(f) && (kind == talos.OutOfOrderSequence || kind == talos.UnknownProducer) {
		// Only because a batch before it must be sent again.
		m = passes
	}
	f.uncertain = f.uncertain || !keptOut(kind)
	seen := n.epoch
	l.sawEpoch(n, ownerOf(err).Epoch)
	switch m {
	case moved:
		n.sendAgain(f, err, now)
		if to, ok := follow(err, seen); ok && to != n.address {
			n.follow(to, now)
		} else {
			l.look(now)
		}
	case isMissing:
		n.missing = err
		n.sendAgain(f, err, now)
		l.look(now)
	case passes:
		n.sendAgain(f, err, now)
	case forgets:
		n.lost = err
		n.sendAgain(f, err, now)
	case noHole:
		f.resolved, f.err = true, l.failure(n.subject, err, "the record is stored")
	case endsProducer:
		l.die(err)
	case failsBatch:
		for i, g := range n.inflight {
			if g == f {
				l.failFrom(n, i, err)
				break
			}
		}
	}
}

// failFrom fails the i-th batch in flight, and all behind it that have no answer:
// without it they can't be stored, but an attempt may have been before.
func (l *pipeline) failFrom(n *lane, i int, cause error) {
	for _, f := range n.inflight[i:] {
		if f.resolved {
			continue
		}
		f.resolved, f.err = true, l.failure(n.subject, cause, f.known())
		if f.unanswered {
			f.unanswered = false
			n.unanswered--
			delete(l.links[n.address].byID, f.request.GetId())
		}
	}
	n.stale = true
}

// known is what is known of a batch that fails now.
func (f *batchInFlight) known() string {
	switch {
	case f.uncertain || f.sent && f.unanswered:
		return outcomeUnknown
	case !f.sent:
		return notSent
	default:
		return notStored
	}
}

// failure is the error of a record: the cause, and what is known of the record.
func (l *pipeline) failure(subject string, cause error, known string) error {
	var e *talos.Error
	if !errors.As(cause, &e) {
		return &talos.Error{Kind: talos.KindOf(cause), Op: "sdk.Producer", Subject: subject, Detail: known, Cause: cause}
	}
	told := *e
	told.Op, told.Subject = "sdk.Producer", subject
	told.Detail = strings.TrimPrefix(e.Detail+"; "+known, "; ")
	return &told
}

// expire fails what was not delivered in time: everything in flight if its first
// record is late, and of the queue what is late itself.
func (l *pipeline) expire(n *lane, now time.Time) {
	late := now.Add(-l.cfg.deliveryTimeout)
	if len(n.inflight) > 0 && !n.oldest().After(late) {
		l.failFrom(n, 0, l.timeout(n))
		l.deliver(n)
	}
	for len(n.inflight) == 0 && len(n.queue) > 0 && !n.oldest().After(late) {
		t := n.pop()
		l.finish(&t.entry, Delivery{}, l.failure(n.subject, l.timeout(n), notSent))
	}
}

// timeout says what kept a lane from delivering.
func (l *pipeline) timeout(n *lane) error {
	last := n.lastErr
	if k := l.links[n.address]; k != nil && k.lastErr != nil {
		last = k.lastErr
	}
	switch {
	case last != nil:
	case l.lookErr != nil:
		last = l.lookErr
	case n.address == "":
		last = &talos.Error{Kind: talos.NotServing, Subject: n.subject, Detail: "no node owns the partition now"}
	}
	text := fmt.Sprintf("not acknowledged within %v", l.cfg.deliveryTimeout)
	return &talos.Error{Kind: talos.Timeout, Detail: text, Cause: last}
}

// die fails everything, and lets nothing more in.
func (l *pipeline) die(cause error) {
	if l.fatal != nil {
		return
	}
	l.fatal = cause
	l.p.intake.close(cause)
	for _, n := range l.lanes {
		if n == nil {
			continue
		}
		l.failFrom(n, 0, cause)
		l.deliver(n)
		for len(n.queue) > 0 {
			t := n.pop()
			l.finish(&t.entry, Delivery{}, l.failure(n.subject, cause, notSent))
		}
	}
	for _, k := range l.links {
		k.drop()
	}
}

// deliver ends the batches at the front of a lane that are resolved.
func (l *pipeline) deliver(n *lane) {
	for len(n.inflight) > 0 && n.inflight[0].resolved {
		f := n.inflight[0]
		n.inflight[0] = nil
		n.inflight = n.inflight[1:]
		for i := range f.entries {
			l.finish(&f.entries[i], f.delivery(i), f.err)
		}
	}
}

// delivery is what the i-th record of a batch is told; zero if the batch failed.
func (f *batchInFlight) delivery(i int) Delivery {
	if f.err != nil {
		return Delivery{}
	}
	return Delivery{
		Partition: f.lane.partition, Offset: talos.Offset(f.stored.GetBaseOffset() + int64(i)),
		Epoch: talos.Epoch(f.stored.GetEpoch()),
		Time:  time.UnixMilli(f.stored.GetAppendTimeMs()).UTC(), Duplicate: f.stored.GetDuplicate(),
	}
}

// finish ends one record.
func (l *pipeline) finish(e *entry, d Delivery, err error) {
	l.p.room.Release(e.cost)
	e.cohort.pending--
	if err != nil && e.cohort.err == nil {
		e.cohort.err = err
	}
	if e.done != nil {
		e.done(d, err)
	}
}

func (l *pipeline) sawEpoch(n *lane, epoch talos.Epoch) {
	if epoch > n.epoch {
		n.epoch = epoch
		l.client.epochs.saw(l.p.topic.ID, n.partition, epoch)
	}
}

// acknowledged takes an acknowledgement.
func (l *pipeline) acknowledged(f *batchInFlight, a *talosv1.Appended) {
	n := f.lane
	f.resolved, f.stored, f.again = true, a, false
	l.sawEpoch(n, talos.Epoch(a.GetEpoch()))
	n.failures, n.lastErr, n.owner, n.settled = 0, nil, n.address, true
	if k := l.links[n.address]; k.failures > 0 {
		k.failures, k.lastErr = 0, nil
	}
	l.looks = 0
}
