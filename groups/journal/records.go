package journal

import (
	"context"
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// The keys of records.
const (
	keyEvent byte = iota + 1
	keyBegin
	keyItem
	keyEnd
)

// writer gathers records into batches, and appends them.
type writer struct {
	log     Log
	builder *batch.Builder
	// written is the bytes of the batches.
	written int
}

func newWriter(log Log) *writer {
	return &writer{log: log, builder: batch.NewBuilder(&batch.Compressor{})}
}

// add takes records that stay together.
func (w *writer) add(key byte, values [][]byte) error {
	now := time.Now()
	for _, v := range values {
		w.builder.Add(&talos.Record{Key: []byte{key}, Value: v}, now)
	}
	if w.builder.Size() < batchBytes {
		return nil
	}
	return w.flush()
}

func (w *writer) flush() error {
	if w.builder.Len() == 0 {
		return nil
	}
	b, err := w.builder.Build(batch.BuildOptions{ProducerID: batch.NoProducer, ProducerEpoch: -1, FirstSequence: -1})
	if err != nil {
		return err
	}
	w.written += len(b)
	return w.log.Append(b)
}

// writeSnapshot stores the state as it is, and moves the log's start up to it. No
// command runs meanwhile.
func (j *Journal[M]) writeSnapshot(ctx context.Context) error {
	begin := j.log.Range().End
	w := newWriter(j.log)
	if err := w.add(keyBegin, [][]byte{nil}); err != nil {
		return failed(err)
	}
	var err error
	j.machine.Snapshot(func(item []byte) bool {
		err = w.add(keyItem, [][]byte{item})
		return err == nil
	})
	if err == nil {
		err = w.add(keyEnd, [][]byte{nil})
	}
	if err == nil {
		err = w.flush()
	}
	if err != nil {
		return failed(err)
	}
	j.snapshot, j.grown = w.written, 0
	// If it fails, the next snapshot trims more: the log is right either way.
	_ = j.log.Trim(ctx, begin)
	return nil
}

// loader takes the log's records in order.
type loader[M Machine] struct {
	j *Journal[M]
	// items are of a snapshot whose end has not come; within tells that its begin has.
	items  [][]byte
	within bool
	size   int
}

// load reads the log from its start to its end.
func (j *Journal[M]) load(ctx context.Context) error {
	l := &loader[M]{j: j}
	rng := j.log.Range()
	for next := rng.Start; next < rng.End; {
		batches, err := j.log.Read(ctx, next, readBytes)
		if err != nil {
			return fmt.Errorf("load a journal: %w", err)
		}
		before := next
		for b, err := range batch.All(batches) {
			if err != nil {
				return fmt.Errorf("load a journal: %w", err)
			}
			if err := l.batch(b, next); err != nil {
				return fmt.Errorf("load a journal: %w", err)
			}
			next = b.Next()
		}
		if next == before {
			return &talos.Error{Kind: talos.Internal, Op: "journal.load", Detail: fmt.Sprintf("no record at offset %d of %v", next, rng)}
		}
	}
	j.machine.Take()
	return nil
}

func (l *loader[M]) batch(b batch.Batch, from talos.Offset) error {
	l.size = len(b.Bytes)
	l.j.grown += l.size
	for r, err := range batch.Records(b.Bytes, talos.MaxInflatedBytes) {
		if err != nil {
			return err
		}
		if r.Offset < from {
			continue
		}
		if err := l.record(r); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader[M]) record(r batch.Record) error {
	key := byte(0)
	if len(r.Key) == 1 {
		key = r.Key[0]
	}
	switch key {
	case keyEvent:
		l.items, l.within = nil, false
		return l.j.machine.Apply(r.Value)
	case keyBegin:
		l.items, l.within = nil, true
		l.j.snapshot = 0
	case keyItem:
		l.items = append(l.items, r.Value)
		l.j.snapshot += len(r.Value)
	case keyEnd:
		return l.end()
	default:
		return &talos.Error{Kind: talos.NewerFormat, Op: "journal.load", Detail: fmt.Sprintf("a record with the key %x at offset %d", r.Key, r.Offset)}
	}
	return nil
}

// end makes the state what the snapshot says.
func (l *loader[M]) end() error {
	if !l.within {
		return nil // its begin was trimmed away by a later one
	}
	l.j.machine.Reset()
	for _, item := range l.items {
		if err := l.j.machine.Apply(item); err != nil {
			return err
		}
	}
	l.items, l.within = nil, false
	l.j.grown = 0
	return nil
}
