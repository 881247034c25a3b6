package partition

import (
	"time"

	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

const (
	// maxInflight bounds the appends in flight; while that many are, requests
	// gather into the next group.
	maxInflight = 4
	// maxGroupBytes bounds the batches of one append; a single larger batch is an
	// append of its own.
	maxGroupBytes = 2 << 20
	// window bounds the bytes in flight. Each segment declares it: damage farther
	// from the end of an unsealed segment can't be a torn append.
	window = 32 << 20
	// segmentReserve is how much a segment may grow after its limit was reached: by
	// a group, a checkpoint and the footer.
	segmentReserve = 3 * segment.MaxFrameBytes
	// startRetry is how long after a failed start of a segment appends are refused
	// without another attempt.
	startRetry = 500 * time.Millisecond
)

// pending is one append, from the assignment of its offsets to its answer.
type pending struct {
	base, next talos.Offset
	// payload is the batches, inside of the frame's buffer; none for a checkpoint.
	payload []byte
	answers []answer
	time    int64
	// size is the frame's, end its end in the segment.
	size, end int64
	issued    time.Time
}

// answer is what one request will be told once the append that it waits for is
// durable.
type answer struct {
	done   func(Appended, error)
	result Appended
	err    error
}

func (p *pending) answer(epoch talos.Epoch) {
	for _, a := range p.answers {
		a.result.Epoch = epoch
		a.done(a.result, a.err)
	}
	p.answers = nil
}

func (p *pending) fail(err error) {
	for _, a := range p.answers {
		if a.err == nil {
			a.err = err
		}
		a.done(Appended{}, a.err)
	}
	p.answers = nil
}

// pump issues appends while requests wait and there is room in flight: for a
// group and for the checkpoint that may follow it.
func (l *Log) pump() error {
	l.commitAt = time.Time{}
	// A seal writes to disk what the segment only flushed, and the first bytes of the
	// next segment, which requests wait for, would have to wait for that.
	var seal func()
	defer func() {
		if seal != nil {
			l.inBackground(seal)
		}
	}()
	for {
		if why := l.rollDue(); why != "" {
			if len(l.inflight) > 0 {
				return nil
			}
			if seal != nil {
				// Nothing came of the segment in between: what waited was a repetition.
				l.inBackground(seal)
			}
			seal = l.endActive(why)
		}
		if at := l.commitDue(); !at.IsZero() {
			l.commitAt = at
			return nil
		}
		if !l.inbox.waiting() || len(l.inflight) >= maxInflight || l.inflightBytes+2*segment.MaxFrameBytes > window {
			return nil
		}
		if l.active == nil {
			if err := l.ensureSegment(); err != nil {
				return err
			}
			if l.active == nil {
				return nil
			}
		}
		l.appendGroup()
	}
}

// rollDue says why the active segment should be sealed now, if it should.
func (l *Log) rollDue() sealReason {
	idle := l.traits.IdleClose
	switch {
	case l.active == nil:
		return ""
	case l.active.asked():
		return sealForStore
	case l.active.writer.Size() >= l.maxSize:
		return sealForSize
	case l.resegment:
		return sealForConfig
	case time.Since(l.active.created) >= l.maxAge:
		return sealForAge
	case idle > 0 && len(l.inflight) == 0 && !l.inbox.waiting() && time.Since(l.lastUsed) >= idle:
		return sealForIdleness
	default:
		return ""
	}
}

// commitDue says until when the next append must wait for the store's interval;
// the zero time if it need not.
func (l *Log) commitDue() time.Time {
	if l.traits.CommitInterval <= 0 || l.active == nil {
		return time.Time{}
	}
	at := l.active.issued.Add(l.traits.CommitInterval)
	if !time.Now().Before(at) {
		return time.Time{}
	}
	return at
}

// appendGroup takes everything that waits and issues it as one append.
func (l *Log) appendGroup() {
	requests, size := l.inbox.take(maxGroupBytes)
	now := time.Now()
	l.lastUsed, l.lastTime = now, max(l.lastTime, now.UnixMilli())
	l.producers.expire(now, l.acked)
	frame := l.active.writer.Buffer(size)
	head := len(frame)
	p := &pending{base: l.next, next: l.next, time: l.lastTime}
	for _, r := range requests {
		frame = l.admit(p, r, frame)
	}
	if len(frame) > head {
		p.payload = frame[head:len(frame):len(frame)]
		l.metrics.groupBatches.Observe(float64(len(p.answers)))
		l.metrics.groupBytes.Observe(float64(len(p.payload)))
		l.issue(p, l.active.writer.Data(frame, l.meta(p)))
		l.next = p.next
		l.checkpointIfDue(p)
		return
	}
	// Nothing new in it: the answers wait for what was asked for before them.
	if n := len(l.inflight); n > 0 {
		l.inflight[n-1].answers = append(l.inflight[n-1].answers, p.answers...)
		return
	}
	p.answer(l.rec.Epoch)
}

// admit decides about one request: a new batch goes into the frame under the
// next offset; a duplicate, or an error, only gets its answer.
func (l *Log) admit(p *pending, r request, frame []byte) []byte {
	if r.header.Idempotent() {
		known, err := l.producers.check(r.header)
		if err != nil {
			p.answers = append(p.answers, answer{done: r.done, err: err})
			return frame
		}
		if known != nil {
			l.metrics.duplicates.Inc()
			a := answer{done: r.done, result: Appended{Base: known.Base, Time: time.UnixMilli(known.Time), Duplicate: true}}
			l.holder(p, known.Base).answers = append(l.holder(p, known.Base).answers, a)
			return frame
		}
		if err := l.producers.makeRoom(r.header.ProducerID, l.acked); err != nil {
			p.answers = append(p.answers, answer{done: r.done, err: err})
			return frame
		}
		l.producers.add(r.header, p.next, l.lastTime, l.acked)
	}
	at := len(frame)
	frame = append(frame, r.bytes...)
	batch.Place(frame[at:], p.next, l.rec.Epoch)
	p.answers = append(p.answers, answer{done: r.done, result: Appended{Base: p.next, Time: time.UnixMilli(l.lastTime)}})
	p.next += talos.Offset(r.header.LastDelta) + 1
	return frame
}

// holder is the append whose outcome is that of the batch at base: one in
// flight, or the group being built, which then waits for nothing older.
func (l *Log) holder(building *pending, base talos.Offset) *pending {
	for _, p := range l.inflight {
		if base >= p.base && base < p.next {
			return p
		}
	}
	return building
}

func (l *Log) checkpointIfDue(p *pending) {
	w := l.active.writer
	if !w.CheckpointDue(l.traits.CheckpointAppends) {
		return
	}
	c := &pending{base: p.next, next: p.next, time: p.time}
	l.issue(c, w.Checkpoint(l.meta(c), l.producers.snapshot(p.next)))
}

func (l *Log) meta(p *pending) segment.Meta {
	return segment.Meta{Base: p.base, Next: p.next, Acked: l.acked, Time: p.time}
}

// addInflight counts bytes that were handed to the store, or came back.
func (l *Log) addInflight(bytes int64) {
	l.inflightBytes += bytes
	l.metrics.inflight.Add(float64(bytes))
}

// issue hands a frame to the store.
func (l *Log) issue(p *pending, frame []byte) {
	a := l.active
	p.size, p.end, p.issued = int64(len(frame)), a.writer.Size(), time.Now()
	a.issued = p.issued
	l.inflight = append(l.inflight, p)
	l.addInflight(p.size)
	a.appender.Append(frame, func(err error) { l.inbox.complete(completion{from: a, err: err}) })
}
