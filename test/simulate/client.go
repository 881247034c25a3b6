package simulate

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"github.com/talos-log/talos/test/history"
)

const (
	finalReader = "final"
	// Each producer sends so many batches, of up to so many records.
	batches      = 50
	batchRecords = 20
	// attemptTime is how long a client waits for an answer at most.
	attemptTime = 4 * time.Second
	// lostAnswers is the share of answers that do not reach their client.
	lostAnswers = 0.03
	minBackoff  = 10 * time.Millisecond
	maxBackoff  = 200 * time.Millisecond
)

// subject is a topic that clients work on, and what they saw of it.
type subject struct {
	topic   talos.Topic
	history *history.History
}

func (s *subject) id(n int32) talos.PartitionID {
	return talos.PartitionID{Topic: s.topic.ID, Number: n}
}

// producer is idempotent: it sends each batch until it has a good answer.
type producer struct {
	w      *world
	s      *subject
	number int
	sent   int             // records
	next   map[int32]int32 // sequences
	epoch  map[int32]talos.Epoch
}

func (w *world) newProducer(s *subject, number int) *producer {
	return &producer{w: w, s: s, number: number, next: make(map[int32]int32), epoch: make(map[int32]talos.Epoch)}
}

// run sends so many batches to some of the first partitions; false if one was not
// delivered.
func (p *producer) run(ctx context.Context, batches int, partitions int32) bool {
	for range batches {
		sleep(p.w.within(0, 1500*time.Millisecond))
		n := int32(p.w.int(int(partitions))) //nolint:gosec // small
		records := 1 + p.w.int(batchRecords)
		b, ids := p.batch(n, records)
		if !p.deliver(ctx, n, b, ids) {
			return false
		}
	}
	return true
}

// batch makes the next batch for a partition.
func (p *producer) batch(n int32, records int) ([]byte, []history.ID) {
	builder := batch.NewBuilder(&batch.Compressor{})
	at := time.UnixMilli(time.Now().UnixMilli())
	ids := make([]history.ID, 0, records)
	for range records {
		id := history.ID{Producer: p.number, Sequence: p.sent}
		p.sent++
		r := &talos.Record{Value: []byte(id.String()), Timestamp: at}
		p.s.history.Send(id, n, history.DigestOf(r))
		builder.Add(r, at)
		ids = append(ids, id)
	}
	b, err := builder.Build(batch.BuildOptions{ProducerID: int64(p.number + 1), FirstSequence: p.next[n]})
	if err != nil {
		p.w.anomaly("misuse", "a batch can't be built: %v", err)
	}
	p.next[n] += int32(records) //nolint:gosec // small
	return b, ids
}

// deliver sends a batch until it is acknowledged; false if it never was.
func (p *producer) deliver(ctx context.Context, n int32, b []byte, ids []history.ID) bool {
	for {
		appended, err := p.attempt(ctx, n, bytes.Clone(b))
		switch {
		case err == nil:
			p.epoch[n] = max(p.epoch[n], appended.Epoch)
			for i, id := range ids {
				p.s.history.Acked(id, history.Ack{
					Partition: n, Offset: appended.Base + talos.Offset(i), Epoch: appended.Epoch, Duplicate: appended.Duplicate,
				})
			}
			return true
		case !talos.Retryable(err) || p.w.over():
			for _, id := range ids {
				p.s.history.Failed(id, err)
			}
			return false
		}
		sleep(p.w.within(minBackoff, maxBackoff))
	}
}

func (p *producer) attempt(ctx context.Context, n int32, b []byte) (partition.Appended, error) {
	h := p.w.owner(p.s.id(n))
	if h == nil {
		return partition.Appended{}, &talos.Error{Kind: talos.NotServing, Op: "simulate.attempt"}
	}
	ctx, cancel := context.WithTimeout(ctx, p.w.within(attemptTime/8, attemptTime))
	defer cancel()
	appended, err := h.produce(ctx, p.s.id(n), p.epoch[n], b)
	if err == nil && p.w.float() < lostAnswers {
		p.w.count("answer lost")
		return partition.Appended{}, &talos.Error{Kind: talos.Unavailable, Op: "simulate.attempt"}
	}
	return appended, err
}

// reader reads all partitions in turns, each from its start.
type reader struct {
	w     *world
	s     *subject
	name  string
	next  map[int32]talos.Offset
	epoch map[int32]talos.Epoch
}

func (w *world) newReader(s *subject, name string) *reader {
	return &reader{w: w, s: s, name: name, next: make(map[int32]talos.Offset), epoch: make(map[int32]talos.Epoch)}
}

func (r *reader) run(ctx context.Context, partitions int32) {
	for ctx.Err() == nil {
		sleep(r.w.within(minBackoff, time.Second))
		r.read(ctx, int32(r.w.int(int(partitions)))) //nolint:gosec // small
	}
}

// read reads what there is of a partition from where the reader is, once.
func (r *reader) read(ctx context.Context, n int32) {
	h := r.w.owner(r.s.id(n))
	if h == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	b, at, epoch, err := h.fetch(ctx, r.s.id(n), r.next[n], r.epoch[n])
	if err != nil {
		kind := talos.KindOf(err)
		if kind == talos.OffsetOutOfRange && r.next[n] < at.Start {
			r.s.history.Range(r.name, n, at, epoch) // the check knows whether somebody wanted that
			r.next[n], r.epoch[n] = at.Start, epoch
			return
		}
		if kind == talos.OffsetOutOfRange || kind == talos.CorruptSegment || kind == talos.BrokenChain {
			r.w.anomaly("refused-read", "%s asked %s for %d of partition %d: %v", r.name, h.id, r.next[n], n, err)
		}
		return
	}
	r.epoch[n] = epoch
	r.s.history.Range(r.name, n, at, epoch)
	for one, err := range batch.All(b) {
		if err != nil {
			r.w.anomaly("refused-read", "%s can't take a batch of partition %d apart: %v", r.name, n, err)
			return
		}
		for record, err := range batch.Records(one.Bytes, 1<<20) {
			if err != nil {
				r.w.anomaly("refused-read", "%s can't read partition %d: %v", r.name, n, err)
				return
			}
			r.take(n, record)
		}
	}
}

func (r *reader) take(n int32, record batch.Record) {
	if record.Offset < r.next[n] {
		return
	}
	id, err := history.ParseID(string(record.Value))
	if err != nil {
		r.w.anomaly("phantom", "%s read %s at %d of partition %d", r.name, strconv.Quote(string(record.Value)), record.Offset, n)
	}
	r.s.history.Read(r.name, n, record.Offset, id, history.DigestOf(&record.Record))
	r.next[n] = record.Offset + 1
}

// readAll reads everything that was acknowledged of a topic, and checks it.
func (w *world) readAll(ctx context.Context, s *subject) {
	r := w.newReader(s, finalReader)
	began := time.Now()
	defer func() {
		for _, a := range s.history.Check(finalReader) {
			w.anomaly(string(a.Kind), "topic %s: %s", s.topic.Name, a.Text)
		}
	}()
	for n, end := range s.history.Ends() {
		for r.next[n] < end {
			if time.Since(began) > patience {
				w.anomaly("stuck", "partition %d can't be read to its end: %d of %d", n, r.next[n], end)
				return
			}
			r.read(ctx, n)
			sleep(minBackoff)
		}
	}
}
