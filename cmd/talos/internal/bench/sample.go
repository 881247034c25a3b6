package bench

import "time"

// Names of what is measured.
const (
	produceName   = "produce"
	consumeName   = "consume"
	diskName      = "fdatasync"
	roundTripName = "grpc"
	fetchName     = "grpc_fetch"
)

// sample is what one leg measured of one thing.
type sample struct {
	name    string
	records int64 // done: acknowledged, received, synced, answered
	failed  int64
	// unsent are the records of an open loop that were due, and not sent.
	unsent  int64
	bytes   int64 // of the values of records
	elapsed time.Duration
	// latencies and late may be nil: not measured.
	latencies *latencies
	late      *latencies
	err       error // of the first record that failed
}

// add makes s the sample of two legs, one behind the other.
func (s *sample) add(o sample) {
	s.records += o.records
	s.failed += o.failed
	s.unsent += o.unsent
	s.bytes += o.bytes
	s.elapsed += o.elapsed
	s.latencies = sum(s.latencies, o.latencies)
	s.late = sum(s.late, o.late)
	if s.err == nil {
		s.err = o.err
	}
}

// sum returns both together, in a histogram of its own.
func sum(a, b *latencies) *latencies {
	if a == nil && b == nil {
		return nil
	}
	both := newLatencies()
	for _, l := range []*latencies{a, b} {
		if l != nil {
			both.add(l)
		}
	}
	return both
}

func (s *sample) recordsPerSecond() float64 { return perSecond(s.records, s.elapsed) }

func (s *sample) bytesPerSecond() float64 { return perSecond(s.bytes, s.elapsed) }

func perSecond(n int64, elapsed time.Duration) float64 {
	if elapsed <= 0 {
		return 0
	}
	return float64(n) / elapsed.Seconds()
}

// leg is what was measured in one go. half is "A" or "B".
type leg struct {
	round   int // from 1 on
	half    string
	samples []sample
}
