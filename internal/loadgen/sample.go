package loadgen

import "time"

// Names of what a fleet measures.
const (
	Produced = "produce"
	Consumed = "consume"
)

// Sample is what one leg measured of one thing.
type Sample struct {
	Name    string
	Records int64 // done: acknowledged, received, synced, answered
	Failed  int64
	// Unsent are the records of an open loop that were due, and not sent.
	Unsent  int64
	Bytes   int64 // of the values of records
	Elapsed time.Duration
	// Latencies and Late may be nil: not measured.
	Latencies *Latencies
	Late      *Latencies
	Err       error // of the first record that failed
}

// Add makes s the sample of two legs, one behind the other.
func (s *Sample) Add(o Sample) {
	s.Records += o.Records
	s.Failed += o.Failed
	s.Unsent += o.Unsent
	s.Bytes += o.Bytes
	s.Elapsed += o.Elapsed
	s.Latencies = sum(s.Latencies, o.Latencies)
	s.Late = sum(s.Late, o.Late)
	if s.Err == nil {
		s.Err = o.Err
	}
}

// sum returns both together, in a histogram of its own.
func sum(a, b *Latencies) *Latencies {
	if a == nil && b == nil {
		return nil
	}
	both := NewLatencies()
	for _, l := range []*Latencies{a, b} {
		if l != nil {
			both.Add(l)
		}
	}
	return both
}

// RecordsPerSecond is 0 if no time passed.
func (s *Sample) RecordsPerSecond() float64 { return perSecond(s.Records, s.Elapsed) }

// BytesPerSecond is 0 if no time passed.
func (s *Sample) BytesPerSecond() float64 { return perSecond(s.Bytes, s.Elapsed) }

func perSecond(n int64, elapsed time.Duration) float64 {
	if elapsed <= 0 {
		return 0
	}
	return float64(n) / elapsed.Seconds()
}
