package coordinator

import (
	"context"
	"fmt"
	"math"

	"github.com/talos-log/talos/talos"
)

// A producer id, from the highest bit:
//
//	0 │ 15 bits: Cluster.ProducerBits │ 32 bits: block │ 16 bits: within the block
//
// A block is never used twice: its number is above every earlier one and not
// below the clock's seconds, so also an old copy of etcd, restored, goes on
// above what was given out since (unless more than one block a second was).
const (
	blockBits      = 16
	blockIDs       = 1 << blockBits
	clusterIDShift = 32 + blockBits
)

// producerBlock is the value of the producer block key.
type producerBlock struct {
	Last int64 `json:"last"`
}

func decodeProducerBlock(e Entry) (producerBlock, error) {
	return decode(e, func(b producerBlock) error {
		if b.Last < 0 || b.Last > math.MaxUint32 {
			return fmt.Errorf("last is %d, want 0 to %d", b.Last, uint32(math.MaxUint32))
		}
		return nil
	})
}

// ProducerIDs reserves a block of producer ids that nobody ever had: first to
// first+n-1. After an error a block may be lost, which harms nobody.
func (m *Meta) ProducerIDs(ctx context.Context) (first, n int64, err error) {
	const op = "coordinator.ProducerIDs"
	err = m.race(func() (bool, error) {
		e, err := m.load(ctx, producerBlockKey)
		if err != nil {
			return false, fmt.Errorf("%s: %w", op, err)
		}
		last := producerBlock{Last: -1}
		if e.Revision != 0 {
			if last, err = decodeProducerBlock(e); err != nil {
				return false, err
			}
		}
		block := producerBlock{Last: max(last.Last+1, m.now().Unix())}
		if block.Last > math.MaxUint32 {
			return false, &talos.Error{
				Kind: talos.Internal, Op: op,
				Detail: fmt.Sprintf("block %d does not fit 32 bits; check the clock", block.Last),
			}
		}
		value, err := encode(producerBlockKey, block)
		if err != nil {
			return false, err
		}
		applied, err := m.commit(ctx, []Cond{{Key: e.Key, Revision: e.Revision}}, []Op{Put(e.Key, value)})
		if err != nil {
			return false, fmt.Errorf("%s: %w", op, err)
		}
		first = int64(m.cluster.ProducerBits)<<clusterIDShift | block.Last<<blockBits
		return applied, nil
	})
	if err != nil {
		return 0, 0, err
	}
	return first, blockIDs, nil
}

// ProducerIDs hands out the ids of a block one by one, and reserves the next
// block when none is left. Make one per process with NewProducerIDs.
type ProducerIDs struct {
	meta *Meta
	turn chan struct{} // holds one token while somebody takes an id; guards the fields below
	next int64
	left int64
}

// NewProducerIDs returns an allocator that has no block yet.
func NewProducerIDs(meta *Meta) *ProducerIDs {
	return &ProducerIDs{meta: meta, turn: make(chan struct{}, 1)}
}

// Next returns an id that nobody ever had. Calls may run at the same time; only
// one of them reserves a block, the others wait for it or for their contexts.
func (p *ProducerIDs) Next(ctx context.Context) (int64, error) {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, fmt.Errorf("coordinator.ProducerIDs: %w", ctx.Err())
	}
	defer func() { <-p.turn }()
	if p.left == 0 {
		first, n, err := p.meta.ProducerIDs(ctx)
		if err != nil {
			return 0, err
		}
		p.next, p.left = first, n
	}
	id := p.next
	p.next++
	p.left--
	return id, nil
}
