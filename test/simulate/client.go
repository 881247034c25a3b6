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

// producer is idempotent: it sends each batch until it has a good answer.
type producer struct {
	w      *world
	number int
	sent   int               // records
	next   [partitions]int32 // sequences
	epoch  [partitions]talos.Epoch
}

func (p *producer) run(ctx context.Context) {
	for range batches {
		sleep(p.w.within(0, 1500*time.Millisecond))
		n := int32(p.w.int(partitions)) //nolint:gosec // small
		records := 1 + p.w.int(batchRecords)
		b, ids := p.batch(n, records)
		if !p.deliver(ctx, n, b, ids) {
			return
		}
	}
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
		p.w.history.Send(id, n, history.DigestOf(r))
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
				p.w.history.Acked(id, history.Ack{
					Partition: n, Offset: appended.Base + talos.Offset(i), Epoch: appended.Epoch, Duplicate: appended.Duplicate,
				})
			}
			return true
		case !talos.Retryable(err) || p.w.over():
			for _, id := range ids {
				p.w.history.Failed(id, err)
			}
			return false
		}
		sleep(p.w.within(minBackoff, maxBackoff))
	}
}

func (p *producer) attempt(ctx context.Context, n int32, b []byte) (partition.Appended, error) {
	h := p.w.owner(n)
	if h == nil {
		return partition.Appended{}, &talos.Error{Kind: talos.NotServing, Op: "simulate.attempt"}
	}
	ctx, cancel := context.WithTimeout(ctx, p.w.within(attemptTime/8, attemptTime))
	defer cancel()
	appended, err := h.produce(ctx, n, p.epoch[n], b)
	if err == nil && p.w.float() < lostAnswers {
		p.w.count("answer lost")
		return partition.Appended{}, &talos.Error{Kind: talos.Unavailable, Op: "simulate.attempt"}
	}
	return appended, err
}

// reader reads all partitions in turns, each from its start.
type reader struct {
	w     *world
	name  string
	next  [partitions]talos.Offset
	epoch [partitions]talos.Epoch
}

func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		sleep(r.w.within(minBackoff, time.Second))
		r.read(ctx, int32(r.w.int(partitions))) //nolint:gosec // small
	}
}

// read reads what there is of a partition from where the reader is, once.
func (r *reader) read(ctx context.Context, n int32) {
	h := r.w.owner(n)
	if h == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	b, at, epoch, err := h.fetch(ctx, n, r.next[n], r.epoch[n])
	if err != nil {
		if kind := talos.KindOf(err); kind == talos.OffsetOutOfRange || kind == talos.CorruptSegment || kind == talos.BrokenChain {
			r.w.anomaly("refused-read", "%s asked %s for %d of partition %d: %v", r.name, h.id, r.next[n], n, err)
		}
		return
	}
	r.epoch[n] = epoch
	r.w.history.Range(r.name, n, at, epoch)
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
	r.w.history.Read(r.name, n, record.Offset, id, history.DigestOf(&record.Record))
	r.next[n] = record.Offset + 1
}

// readAll reads everything that was acknowledged.
func (w *world) readAll(ctx context.Context) {
	r := &reader{w: w, name: finalReader}
	began := time.Now()
	for n, end := range w.history.Ends() {
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
