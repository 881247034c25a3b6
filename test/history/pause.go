package history

import (
	"slices"
	"time"
)

// LongestPause returns the longest time between two acknowledgements of one
// partition that overlaps the time from one moment to another; the worst
// partition's. A partition without an acknowledgement since then pauses still:
// until to.
func (h *History) LongestPause(from, to time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	byPartition := map[int32][]time.Time{}
	for _, s := range h.sends {
		if s.outcome == acked {
			byPartition[s.partition] = append(byPartition[s.partition], s.clock)
		}
	}
	var longest time.Duration
	for _, acks := range byPartition {
		longest = max(longest, longestGap(acks, from, to))
	}
	return longest
}

// longestGap is that of one partition.
func longestGap(acks []time.Time, from, to time.Time) (longest time.Duration) {
	slices.SortFunc(acks, time.Time.Compare)
	for i, at := range acks {
		next := to
		if i+1 < len(acks) {
			next = acks[i+1]
		}
		if next.After(from) && at.Before(to) {
			longest = max(longest, next.Sub(at))
		}
	}
	return longest
}

// PartitionsSince counts the partitions of which a record was acknowledged that was
// sent later than t: each of them has an owner that acknowledges.
func (h *History) PartitionsSince(t Tick) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	partitions := map[int32]bool{}
	for i := len(h.sends) - 1; i >= 0 && h.sends[i].sent > t; i-- {
		if h.sends[i].outcome == acked {
			partitions[h.sends[i].partition] = true
		}
	}
	return len(partitions)
}
