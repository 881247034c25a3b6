package history

import (
	"maps"
	"slices"

	"github.com/talos-log/talos/talos"
)

// seenRange is what an observer was told can be read of a partition.
type seenRange struct {
	partition int32
	talos.OffsetRange
	epoch talos.Epoch
}

// Range says that an observer was told what can be read of a partition, and the
// epoch of the owner that said so. Each observer asks one thing after the other.
func (h *History) Range(observer string, partition int32, r talos.OffsetRange, epoch talos.Epoch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next()
	h.ranges[observer] = append(h.ranges[observer], seenRange{partition, r, epoch})
}

// Ranges counts what observers were told until now.
func (h *History) Ranges() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, all := range h.ranges {
		n += len(all)
	}
	return n
}

// checkRanges follows each observer, and makes sure that what it was promised is
// there at the end.
func (c *checker) checkRanges(final string) {
	for _, observer := range slices.Sorted(maps.Keys(c.history.ranges)) {
		last := map[int32]seenRange{}
		for _, r := range c.history.ranges[observer] {
			before := last[r.partition]
			if r.End < before.End || r.Start < before.Start || r.epoch < before.epoch {
				c.found(OffsetsWentBack, "%s was told %d to %d of partition %d under epoch %d, after %d to %d under epoch %d",
					observer, r.Start, r.End, r.partition, r.epoch, before.Start, before.End, before.epoch)
			}
			if wanted := c.history.trims[r.partition]; r.Start > wanted {
				c.found(TrimmedTooFar, "%s was told that partition %d starts at %d, nobody wanted more than %d", observer, r.partition, r.Start, wanted)
			}
			last[r.partition] = r
		}
		for _, partition := range slices.Sorted(maps.Keys(last)) {
			if end := max(c.finalEnd[partition], c.history.trims[partition]); end < last[partition].End {
				c.found(OffsetsWentBack, "%s was told that partition %d ends at %d, for %s it ends at %d",
					observer, partition, last[partition].End, final, end)
			}
		}
	}
}
