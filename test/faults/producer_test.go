package faults_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

const (
	// retryPause is how long a producer waits before it sends again.
	retryPause = 100 * time.Millisecond
	// patience is how long a producer goes on sending the same again.
	patience = 5 * time.Minute
	// epochEnd is where the part of a batch begins that no node changes.
	epochEnd = 16
)

// producer is one idempotent producer, whose batches have one record each. It
// sends again what was refused, under the same sequence.
type producer struct {
	t    *testing.T
	id   int64
	size int // of a record's value
	// bases are the offsets of what was acknowledged, by sequence.
	bases []talos.Offset
	// met are the errors so far.
	met []error
	// last is the batch that was made last.
	last         []byte
	lastSequence int
}

func newProducer(t *testing.T, id int64, size int) *producer {
	return &producer{t: t, id: id, size: size}
}

// batch makes the batch of a sequence, always the same; it is not to be changed.
func (p *producer) batch(sequence int) []byte {
	if p.last != nil && p.lastSequence == sequence {
		return p.last
	}
	b := batch.NewBuilder(&batch.Compressor{})
	value := bytes.Repeat([]byte{byte(p.id), byte(sequence)}, p.size/2)
	b.Add(&talos.Record{Value: value}, time.UnixMilli(int64(sequence)))
	out, err := b.Build(batch.BuildOptions{ProducerID: p.id, FirstSequence: int32(sequence)})
	if err != nil {
		p.t.Error(err)
	}
	p.last, p.lastSequence = out, sequence
	return out
}

type outcome struct {
	partition.Appended
	err error
}

func send(l *partition.Log, b []byte) <-chan outcome {
	answer := make(chan outcome, 1)
	l.Append(b, func(a partition.Appended, err error) { answer <- outcome{a, err} })
	return answer
}

// start sends the next n batches that are not acknowledged, which are then in
// flight together.
func (p *producer) start(l *partition.Log, n int) []<-chan outcome {
	var answers []<-chan outcome
	for i := range n {
		answers = append(answers, send(l, bytes.Clone(p.batch(len(p.bases)+i))))
	}
	return answers
}

// finish waits for answers, and returns the first error. Behind a batch that
// failed none may be acknowledged: the order would be lost.
func (p *producer) finish(answers []<-chan outcome) (failed error) {
	for _, answer := range answers {
		o := <-answer
		kind := talos.KindOf(o.err)
		switch {
		case o.err == nil && failed == nil:
			p.bases = append(p.bases, o.Base)
		case o.err == nil:
			p.t.Errorf("producer %d: acknowledged at %d behind a batch that failed: %v", p.id, o.Base, failed)
		case failed == nil:
			failed = o.err
			p.met = append(p.met, o.err)
			if !kind.Class().Retryable {
				p.t.Errorf("producer %d: %s, which is not to be retried: %v", p.id, kind, o.err)
			}
		case !kind.Class().Retryable && kind != talos.OutOfOrderSequence && kind != talos.UnknownProducer:
			p.t.Errorf("producer %d: %s behind a batch that failed: %v", p.id, kind, o.err)
		}
	}
	return failed
}

// round sends the next batches, up to the sequence before to, as many as may be
// in flight.
func (p *producer) round(l *partition.Log, to int) error {
	return p.finish(p.start(l, min(talos.DuplicateWindow, to-len(p.bases))))
}

// deliver sends, and sends again, until everything before to is acknowledged.
func (p *producer) deliver(l *partition.Log, to int) {
	p.t.Helper()
	for began := time.Now(); len(p.bases) < to && !p.t.Failed(); {
		require.Less(p.t, time.Since(began), patience, "%d of %d acknowledged", len(p.bases), to)
		if p.round(l, to) != nil {
			<-time.After(retryPause)
		}
	}
}

// stored reads the whole log and returns how many batches there are of each of
// the producers, the oldest of which has the sequence first: they must lie one
// behind the other, in order and as they were sent, and have all that was
// acknowledged where that said.
func stored(t *testing.T, l *partition.Log, first int, all ...*producer) map[int64]int {
	t.Helper()
	of, next := map[int64]*producer{}, map[int64]int{}
	for _, p := range all {
		of[p.id], next[p.id] = p, first
	}
	rng := l.Range()
	for offset := rng.Start; offset < rng.End; {
		read, err := l.Read(t.Context(), offset, talos.DefaultRecordBytes)
		require.NoError(t, err)
		require.NotEmpty(t, read)
		for b, err := range batch.All(read) {
			require.NoError(t, err)
			require.Equal(t, offset, b.Base)
			p, sequence := of[b.ProducerID], next[b.ProducerID]
			require.NotNil(t, p, "producer %d", b.ProducerID)
			require.Equal(t, int32(sequence), b.FirstSequence, "producer %d, at offset %d", p.id, offset)
			require.True(t, bytes.Equal(p.batch(sequence)[epochEnd:], b.Bytes[epochEnd:]), "other bytes at offset %d", offset)
			if sequence < len(p.bases) {
				require.Equal(t, p.bases[sequence], b.Base, "producer %d, sequence %d", p.id, sequence)
			}
			next[p.id]++
			offset = b.Next()
		}
	}
	for _, p := range all {
		require.GreaterOrEqual(t, next[p.id], len(p.bases), "producer %d: acknowledged and not there", p.id)
	}
	return next
}

// requireStored makes sure that the log has what was acknowledged, and nothing
// else.
func requireStored(t *testing.T, l *partition.Log, first int, all ...*producer) {
	t.Helper()
	there := stored(t, l, first, all...)
	for _, p := range all {
		require.Len(t, p.bases, there[p.id], "producer %d", p.id)
	}
}
