package loadgen

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

// Latencies counts how long things took. It is for one goroutine at a time.
type Latencies struct {
	counts *hdrhistogram.Histogram
}

// NewLatencies has counted none.
func NewLatencies() *Latencies {
	return &Latencies{hdrhistogram.New(int64(leastLatency), int64(mostLatency), latencyFigures)}
}

// Record counts one; what is more than an hour counts as an hour.
func (l *Latencies) Record(d time.Duration) {
	// It is in the range, so this can't fail.
	_ = l.counts.RecordValue(int64(min(max(d, 0), mostLatency)))
}

// Add counts all of others.
func (l *Latencies) Add(other *Latencies) {
	// All histograms have the same range, so that none is dropped.
	l.counts.Merge(other.counts)
}

// Count is how many were counted.
func (l *Latencies) Count() int64 { return l.counts.TotalCount() }

// Quantile is what the share q (0 to 1) of all took at most; 0 if there is none.
func (l *Latencies) Quantile(q float64) time.Duration {
	return time.Duration(l.counts.ValueAtQuantile(100 * q))
}
