package segment

import (
	"encoding/binary"
	"fmt"

	"github.com/talos-log/talos/talos"
)

// MaxProducers is the most producers of one snapshot. With it, no header,
// checkpoint or footer frame exceeds MaxFrameBytes.
const MaxProducers = 40_000

const (
	producerBytes      = 9
	producerBatchBytes = 26
)

func validateProducers(producers []Producer) error {
	if len(producers) > MaxProducers {
		return fmt.Errorf("%d producers, the limit is %d", len(producers), MaxProducers)
	}
	for _, p := range producers {
		if len(p.Batches) > talos.DuplicateWindow {
			return fmt.Errorf("%d batches of producer %d, the limit is %d", len(p.Batches), p.ID, talos.DuplicateWindow)
		}
	}
	return nil
}

// producersRoom is the most bytes that a snapshot takes.
func producersRoom(producers []Producer) int {
	return len(producers) * (producerBytes + talos.DuplicateWindow*producerBatchBytes)
}

func appendProducers(b []byte, producers []Producer) []byte {
	be := binary.BigEndian
	for _, p := range producers {
		b = be.AppendUint64(b, uint64(p.ID))
		b = append(b, uint8(len(p.Batches)))
		for _, x := range p.Batches {
			b = be.AppendUint16(b, uint16(x.Epoch))
			b = be.AppendUint32(b, uint32(x.First))
			b = be.AppendUint32(b, uint32(x.Last))
			b = be.AppendUint64(b, uint64(x.Base))
			b = be.AppendUint64(b, uint64(x.Time))
		}
	}
	return b
}

func parseProducers(b []byte) ([]Producer, error) {
	var producers []Producer
	for c := (cursor{b: b}); ; {
		if len(c.b) == 0 {
			return producers, c.whole("producers")
		}
		p := Producer{ID: c.i64()}
		n := int(c.u8())
		if c.short || n*producerBatchBytes > len(c.b) {
			c.short = true
			return nil, c.whole("producers")
		}
		for range n {
			p.Batches = append(p.Batches, ProducerBatch{
				Epoch: int16(c.u16()), First: c.i32(), Last: c.i32(),
				Base: talos.Offset(c.i64()), Time: c.i64(),
			})
		}
		producers = append(producers, p)
	}
}
