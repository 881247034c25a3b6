package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// What a histogram keeps apart: from 100 ns to an hour, to a thousandth.
const (
	leastLatency   = 100 * time.Nanosecond
	mostLatency    = time.Hour
	latencyFigures = 3
)

// latencies counts how long things took. It is for one goroutine at a time.
type latencies struct {
	counts *hdrhistogram.Histogram
}

func newLatencies() *latencies {
	return &latencies{hdrhistogram.New(int64(leastLatency), int64(mostLatency), latencyFigures)}
}

// record counts one; what is more than an hour counts as an hour.
func (l *latencies) record(d time.Duration) {
	// It is in the range, so this can't fail.
	_ = l.counts.RecordValue(int64(min(max(d, 0), mostLatency)))
}

// add counts all of others.
func (l *latencies) add(other *latencies) {
	// All histograms have the same range, so that none is dropped.
	l.counts.Merge(other.counts)
}

func (l *latencies) count() int64 { return l.counts.TotalCount() }

// quantile is what the share q (0 to 1) of all took at most; 0 if there is none.
func (l *latencies) quantile(q float64) time.Duration {
	return time.Duration(l.counts.ValueAtQuantile(100 * q))
}
