package bench

import (
	"slices"
	"time"

	"github.com/talos-log/talos/internal/loadgen"
)

// outcome is what one leg came to. What was not measured is nil or zero.
type outcome struct {
	produced, consumed *loadgen.Sample
	// cpu is the processor time of the servers, client that of this process, and peak
	// the most memory that the servers held during the leg, in bytes.
	cpu, client time.Duration
	peak        int64
	// own are numbers that one workload alone has.
	own map[string]float64
}

// The values of a leg that figures are made of; 0 if it has none.

func recordRate(o outcome) float64  { return o.sample(false).RecordsPerSecond() }
func byteRate(o outcome) float64    { return o.sample(false).BytesPerSecond() / (1 << 20) }
func consumeRate(o outcome) float64 { return o.sample(true).BytesPerSecond() / (1 << 20) }

func produceLatency(q float64) func(outcome) float64 {
	return func(o outcome) float64 { return quantile(o.sample(false), q) }
}

func endToEnd(q float64) func(outcome) float64 {
	return func(o outcome) float64 { return quantile(o.sample(true), q) }
}

// cpuPerMillion is the servers' processor seconds for a million records, and
// clientPerMillion those of the clients and the generator.
func cpuPerMillion(o outcome) float64    { return o.perMillion(o.cpu) }
func clientPerMillion(o outcome) float64 { return o.perMillion(o.client) }

func (o outcome) perMillion(d time.Duration) float64 {
	records := max(o.sample(false).Records, o.sample(true).Records)
	if records == 0 {
		return 0
	}
	return d.Seconds() * 1e6 / float64(records)
}

// maxUnsent is the share of records that were due and not sent, above which latency
// looks better than it is.
const maxUnsent = 0.01

// behind tells that producers could not keep the rate.
func (o outcome) behind() bool {
	s := o.sample(false)
	return float64(s.Unsent) > maxUnsent*float64(s.Records)
}

func peakMiB(o outcome) float64 { return float64(o.peak) / (1 << 20) }

func own(name string) func(outcome) float64 {
	return func(o outcome) float64 { return o.own[name] }
}

// sample returns that of the producers or consumers, or an empty one.
func (o outcome) sample(consumed bool) *loadgen.Sample {
	s := o.produced
	if consumed {
		s = o.consumed
	}
	if s == nil {
		return &loadgen.Sample{}
	}
	return s
}

// quantile is in milliseconds.
func quantile(s *loadgen.Sample, q float64) float64 {
	if s.Latencies == nil {
		return 0
	}
	return float64(s.Latencies.Quantile(q)) / float64(time.Millisecond)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
