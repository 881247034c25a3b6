package model

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// none stands for an offset and an owner that are not known.
const none = -1

// A batch begins with the base offset, the length and the leader epoch; the first
// and the last of them are the node's to set.
const (
	baseEnd   = 8
	lengthEnd = 12
	epochEnd  = 16
)

// idBytes is where a batch's records begin with its number.
const idBytes = 8

// Producer is one epoch of an idempotent producer.
type Producer struct {
	ID    int64
	Epoch int16

	// The fields below are guarded by the Model's lock.

	batches  []*Batch
	replaced bool
}

// Batch is one batch that was made to be sent. Its fields do not change.
type Batch struct {
	// Of is its producer; nil for one that is not idempotent.
	Of *Producer
	// Records is how many offsets it takes.
	Records int32

	id    int
	index int // among its producer's
	bytes []byte
	stand
}

// stand is what is known of a batch, guarded by the Model's lock.
type stand struct {
	base talos.Offset // none if it is not known to be stored
	// knownBy is the earliest owner that acknowledged it, or showed it: that one and
	// every later one has it.
	knownBy int
	// appended is when, by the acknowledgement.
	appended time.Time
	acked    bool
	// epoch is the leader epoch it was shown with; 0 if it never was.
	epoch    talos.Epoch
	attempts int
	open     int // attempts without an answer
	// doubt is true once an attempt ended without saying whether it was stored.
	doubt bool
}

func (b *Batch) String() string {
	if b.Of == nil {
		return fmt.Sprintf("batch %d (%d records)", b.id, b.Records)
	}
	return fmt.Sprintf("batch %d (%d records, number %d of producer %d epoch %d)", b.id, b.Records, b.index, b.Of.ID, b.Of.Epoch)
}

func (b *Batch) next() talos.Offset { return b.base + talos.Offset(b.Records) }

// Plain makes a batch that no producer id guards, with size bytes of content.
func (m *Model) Plain(size int, records int32) *Batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newBatch(nil, size, records)
}

// Producer makes a new producer, or the next epoch of an old one, whose batches
// are not to be sent anymore then.
func (m *Model) Producer(old *Producer) *Producer {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old == nil {
		m.producers++
		return &Producer{ID: int64(m.producers)}
	}
	old.replaced = true
	return &Producer{ID: old.ID, Epoch: old.Epoch + 1}
}

// Next makes the producer's next batch; nil while as many as the partition can
// know are without a good answer.
func (m *Model) Next(p *Producer, size int, records int32) *Batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(p.unanswered()) >= talos.DuplicateWindow {
		return nil
	}
	b := m.newBatch(p, size, records)
	p.batches = append(p.batches, b)
	return b
}

// Newest returns the producer's batch that is n before its newest; nil if there
// is none.
func (m *Model) Newest(p *Producer, n int) *Batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n >= len(p.batches) {
		return nil
	}
	return p.batches[len(p.batches)-1-n]
}

// Unanswered returns, in order, the producer's batches that have no good answer.
func (m *Model) Unanswered(p *Producer) []*Batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	return p.unanswered()
}

func (p *Producer) unanswered() []*Batch {
	n := len(p.batches)
	for n > 0 && !p.batches[n-1].acked {
		n--
	}
	return slices.Clone(p.batches[n:])
}

func (m *Model) newBatch(p *Producer, size int, records int32) *Batch {
	b := &Batch{Of: p, Records: records, id: len(m.batches), stand: stand{base: none, knownBy: none}}
	k := kmsg.RecordBatch{
		Length: int32(batch.HeaderSize - lengthEnd + idBytes + size), PartitionLeaderEpoch: -1, Magic: 2,
		LastOffsetDelta: records - 1, NumRecords: records,
		ProducerID: batch.NoProducer, ProducerEpoch: -1, FirstSequence: -1,
		Records: content(b.id, size),
	}
	if p != nil {
		b.index = len(p.batches)
		first := int32(0)
		for _, before := range p.batches {
			first += before.Records
		}
		k.ProducerID, k.ProducerEpoch, k.FirstSequence = p.ID, p.Epoch, first
	}
	b.bytes = k.AppendTo(nil)
	batch.Stamp(b.bytes, k.ProducerID, k.ProducerEpoch, k.FirstSequence)
	m.batches = append(m.batches, b)
	return b
}

// content is what stands for a batch's records, which a partition never looks at.
func content(id, size int) []byte {
	c := binary.BigEndian.AppendUint64(nil, uint64(id))
	c = append(c, make([]byte, size)...)
	var seed [32]byte
	copy(seed[:], c)
	_, _ = rand.NewChaCha8(seed).Read(c[idBytes:]) // it never fails
	return c
}

// find returns the batch that was read, if it is one, byte for byte.
func (m *Model) find(read batch.Batch) (*Batch, error) {
	if !batch.ChecksumOK(read.Bytes) || read.Size < batch.HeaderSize+idBytes {
		return nil, fmt.Errorf("at offset %d are %d bytes that nobody sent", read.Base, read.Size)
	}
	id := binary.BigEndian.Uint64(read.Bytes[batch.HeaderSize:])
	if id >= uint64(len(m.batches)) {
		return nil, fmt.Errorf("at offset %d is batch %d, which was never made", read.Base, id)
	}
	b := m.batches[id]
	if !bytes.Equal(read.Bytes[baseEnd:lengthEnd], b.bytes[baseEnd:lengthEnd]) || !bytes.Equal(read.Bytes[epochEnd:], b.bytes[epochEnd:]) {
		return nil, fmt.Errorf("%v at offset %d has other bytes than were sent", b, read.Base)
	}
	return b, nil
}
