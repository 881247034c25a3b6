package simulate

import (
	"context"
	"time"

	"github.com/talos-log/talos/talos"
)

// trims moves the starts of a topic's partitions up, now and then, to some place
// below what was acknowledged, until ctx ends.
func (w *world) trims(ctx context.Context, s *subject, partitions int) {
	const observer = "trimmer"
	epochs := make(map[int32]talos.Epoch)
	for ctx.Err() == nil {
		sleep(w.within(time.Second, 10*time.Second))
		n := int32(w.int(partitions)) //nolint:gosec // small
		h, to := w.owner(s.id(n)), talos.Offset(w.int(int(s.history.Ends()[n])/2+1))
		if h == nil {
			continue
		}
		calling, cancel := context.WithTimeout(ctx, attemptTime)
		s.history.Trim(n, to)
		at, epoch, err := h.trim(calling, s.id(n), to, epochs[n])
		cancel()
		if err != nil {
			continue // it may have been done
		}
		w.count("trim")
		epochs[n] = epoch
		s.history.Range(observer, n, at, epoch)
		if at.Start < to {
			w.anomaly("trims", "partition %d starts at %d, though %s has moved its start to %d", n, at.Start, h.id, to)
		}
	}
}

// trim moves a partition's start; epoch is the highest that the client has seen. It
// returns what can be read then.
func (h *host) trim(ctx context.Context, id talos.PartitionID, to talos.Offset, epoch talos.Epoch) (talos.OffsetRange, talos.Epoch, error) {
	log, err := h.admit(ctx, id, epoch)
	if err != nil {
		return talos.OffsetRange{}, 0, err
	}
	if h.w.mutant == TrimsMore {
		to = min(to+1, log.Range().End)
	}
	if err := log.Trim(ctx, to); err != nil {
		return talos.OffsetRange{}, 0, err
	}
	epoch = log.Epoch()
	return log.Range(), epoch, h.gate.run(ctx)
}
