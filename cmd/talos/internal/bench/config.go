package bench

import (
	"errors"
	"fmt"
	"time"

	"github.com/talos-log/talos/internal/loadgen"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// Limits of what one bench does.
const (
	// maxProducers keeps the histograms, one for each, below 128 MiB.
	maxProducers  = 500
	maxPartitions = talos.MaxPartitions
	maxRounds     = 1000
	// maxWindowBytes bounds the values that all producers have in flight.
	maxWindowBytes = 1 << 30
	// openWindowBytes bounds those of one producer in an open loop; what is due
	// while they are as many waits, and its latency grows.
	openWindowBytes = 32 << 20
)

// Workload is what is measured.
type Workload string

// The workloads.
const (
	// Produce: producers alone.
	Produce Workload = "produce"
	// Tail: consumers at the end, while producers write.
	Tail Workload = "tail"
	// CatchUp: consumers that read from the earliest record on.
	CatchUp Workload = "catch-up"
	// Mixed: Produce and Tail at once.
	Mixed Workload = "mixed"
)

// writes tells whether producers run while it is measured.
func (w Workload) writes() bool { return w != CatchUp }

// reads tells whether consumers do.
func (w Workload) reads() bool { return w != Produce }

// Config says what to do. Sizes are in bytes.
type Config struct {
	// Dial opens a connection to the node; each producer and consumer has one.
	Dial     func() (*sdk.Client, error)
	Workload Workload

	// Topic is used as it is, and kept; empty means one of our own with Partitions
	// partitions, which is deleted in the end. Of a topic that it did not make,
	// CatchUp reads what is there.
	Topic      talos.TopicName
	Partitions int32

	Producers, Consumers int
	// InFlight is how many records each producer keeps in flight in a closed loop.
	InFlight int
	// Rate is records per second of all producers together; 0 is a closed loop.
	Rate float64
	// Size is that of a record's value.
	Size  int
	Codec batch.Codec

	// Rounds is how often A and B are measured.
	Rounds int
	// A leg ends after Duration (0: no limit) or Count records (0: no limit), that of
	// CatchUp when all is read. Of its own topic, that writes Count records, and reads
	// them in each leg.
	Duration time.Duration
	Count    int64
	// Warmup is the duration of a first leg that does not count.
	Warmup time.Duration
	// MaxBytes bounds the values that are written, warm-up included; each leg gets
	// an equal share of it.
	MaxBytes int64

	// YardstickDir is the folder whose disk is measured; empty is the system's
	// temporary one.
	YardstickDir string
	// Timeout bounds each wait: for an answer, an acknowledgement, or a record
	// that must arrive.
	Timeout time.Duration
	// Step is called as each step begins; it may be nil.
	Step func(Step)
}

// Step is where a bench is: the Number-th step of Of, from 1 on.
type Step struct {
	Number, Of int
	Name       string
}

// Validate reports all that is wrong, as InvalidConfig.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(c.Size >= loadgen.StampBytes && c.Size <= talos.DefaultRecordBytes, "size: %d, want %d to %d", c.Size, loadgen.StampBytes, talos.DefaultRecordBytes)
	check(c.Partitions >= 1 && c.Partitions <= maxPartitions, "partitions: %d, want 1 to %d", c.Partitions, maxPartitions)
	check(c.Producers >= 1 && c.Producers <= maxProducers, "producers: %d, want 1 to %d", c.Producers, maxProducers)
	check(!c.Workload.reads() || c.Consumers >= 1 && c.Consumers <= maxPartitions, "consumers: %d, want 1 to %d", c.Consumers, maxPartitions)
	check(c.Rounds >= 1 && c.Rounds <= maxRounds, "rounds: %d, want 1 to %d", c.Rounds, maxRounds)
	check(c.Rate >= 0, "rate: %v is negative", c.Rate)
	check(c.Rate > 0 || c.InFlight >= 1, "in flight: %d, want at least 1", c.InFlight)
	check(c.Rate > 0 || int64(c.InFlight)*int64(c.Producers)*int64(c.Size) <= maxWindowBytes,
		"in flight: %d records of %d bytes by %d producers are more than %d bytes", c.InFlight, c.Size, c.Producers, maxWindowBytes)
	check(c.Duration >= 0, "duration: %v is negative", c.Duration)
	check(c.Count >= 0, "count: %d is negative", c.Count)
	check(c.Warmup >= 0, "warm-up: %v is negative", c.Warmup)
	check(c.Duration > 0 || c.Count > 0 || c.Workload == CatchUp, "duration and count: one of them must end a run")
	check(c.share() >= 1, "max bytes: %d are not one record of %d bytes for each of %d runs", c.MaxBytes, c.Size, c.legs())
	if len(faults) == 0 {
		return nil
	}
	return &talos.Error{Kind: talos.InvalidConfig, Op: "bench", Cause: errors.Join(faults...)}
}

// legs is how many legs there are, warm-up included.
func (c Config) legs() int { return 1 + 2*c.Rounds }

// share is how many records a leg may write so that all of them keep MaxBytes.
// CatchUp writes once, and each leg reads that.
func (c Config) share() int64 {
	records := c.MaxBytes / int64(max(1, c.Size))
	if c.Workload.writes() {
		records /= int64(c.legs())
	}
	return records
}

// records is how many records end a leg.
func (c Config) records() int64 {
	if c.Count == 0 {
		return c.share()
	}
	return min(c.Count, c.share())
}

// window is how many records a producer may have in flight.
func (c Config) window() int {
	if c.Rate > 0 {
		return max(1, openWindowBytes/(c.Size+slotOverhead))
	}
	return c.InFlight
}

// schedule is that of a leg of this duration (0: no limit) that starts now.
func (c Config) schedule(start time.Time, duration time.Duration) loadgen.Schedule {
	return loadgen.Schedule{Start: start, Rate: c.Rate, Duration: duration, Records: c.records()}
}
