package explore

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// history is what was promised so far.
type history struct {
	// offsets of acknowledged sequences, and who acknowledged them first.
	offsets map[int32]talos.Offset
	by      map[int32]string
	// shown is what any owner ever let be read.
	shown map[talos.Offset]int32
	// trimmed is the highest log start that anybody asked for: what lies below may
	// be gone.
	trimmed talos.Offset
	// fault is the first promise that was broken.
	fault error
}

func newHistory() history {
	return history{offsets: map[int32]talos.Offset{}, by: map[int32]string{}, shown: map[talos.Offset]int32{}}
}

func (h *history) breaks(format string, args ...any) {
	if h.fault == nil {
		h.fault = fmt.Errorf(format, args...)
	}
}

func (h *history) acknowledge(sequence int32, offset talos.Offset, by string) {
	if known, ok := h.offsets[sequence]; ok && known != offset {
		h.breaks("record %d acknowledged at offset %d by %s, and at %d by %s", sequence, known, h.by[sequence], offset, by)
	}
	for other, o := range h.offsets {
		if o == offset && other != sequence {
			h.breaks("offset %d acknowledged for record %d by %s, and for %d by %s", offset, other, h.by[other], sequence, by)
		}
	}
	if _, ok := h.offsets[sequence]; !ok {
		h.offsets[sequence], h.by[sequence] = offset, by
	}
}

// look reads what an owner shows, and compares it with all that was shown
// before. With complete, nothing that was shown or acknowledged may be missing.
func (w *world) look(o *owner, complete bool) {
	h := &w.history
	start, end := o.log.Range().Start, o.log.Range().End
	if start > h.trimmed {
		h.breaks("%s starts at %d, nobody asked for more than %d", o.name, start, h.trimmed)
	}
	seen := map[int32]talos.Offset{}
	// Below what somebody has trimmed, a deposed owner finds segments removed.
	for offset := max(start, h.trimmed); offset < end; {
		b, err := o.log.Read(context.Background(), offset, 1<<20)
		if err != nil {
			if kind := talos.KindOf(err); o.log.Err() == nil && kind != talos.NotOwner && kind != talos.NotServing {
				h.breaks("%s can't read offset %d of %d: %w", o.name, offset, end, err)
			}
			return
		}
		for one, err := range batch.All(b) {
			if err != nil {
				h.breaks("%s: what is at offset %d does not parse: %w", o.name, offset, err)
				return
			}
			sequence := one.FirstSequence
			if before, ok := h.shown[one.Base]; ok && before != sequence {
				h.breaks("offset %d was record %d, and is %d for %s", one.Base, before, sequence, o.name)
			}
			if at, ok := seen[sequence]; ok {
				h.breaks("record %d is at offset %d and at %d for %s", sequence, at, one.Base, o.name)
			}
			h.shown[one.Base], seen[sequence] = sequence, one.Base
			offset = one.Next()
		}
	}
	if !complete {
		return
	}
	for offset, sequence := range h.shown {
		if offset >= max(end, h.trimmed) {
			h.breaks("record %d at offset %d was readable, and is gone for %s, which ends at %d", sequence, offset, o.name, end)
		}
	}
	for sequence, offset := range h.offsets {
		if at, ok := seen[sequence]; (!ok && offset >= h.trimmed) || (ok && at != offset) {
			h.breaks("record %d was acknowledged at offset %d by %s, and is not there for %s", sequence, offset, h.by[sequence], o.name)
		}
	}
}

// recordBatch is the producer's batch with one record; sequence stands for its
// content.
func recordBatch(sequence int32) []byte {
	k := kmsg.RecordBatch{
		Length: batch.HeaderSize - 12, PartitionLeaderEpoch: -1, Magic: 2, ProducerID: 1, FirstSequence: sequence, NumRecords: 1,
	}
	b := k.AppendTo(nil)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}
