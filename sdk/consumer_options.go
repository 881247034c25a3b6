package sdk

import (
	"errors"
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
)

// defaultPollBytes is how much a consumer asks for at a time.
const defaultPollBytes = 1 << 20

// Start is where a consumer begins in each of its partitions: Earliest, Latest,
// At an offset or AtTime. The zero value is Earliest.
type Start struct {
	latest bool
	at     *talos.Offset
	time   *time.Time
}

var (
	// Earliest starts at the oldest record that there is.
	Earliest = Start{}
	// Latest starts behind the newest record that NewConsumer sees.
	Latest = Start{latest: true}
)

// At starts at an offset. Poll returns OffsetOutOfRange if there is no such
// record, and it is not the next one either.
func At(offset talos.Offset) Start { return Start{at: &offset} }

// AtTime starts at the first batch that a node took at a time or later, to the
// millisecond; at the end of a partition that has none.
func AtTime(t time.Time) Start { return Start{time: &t} }

// in is the offset that s means in a partition.
func (s Start) in(o PartitionOffsets) talos.Offset {
	switch r := o.Range; {
	case s.time != nil:
		return o.AtTime
	case s.at != nil:
		return *s.at
	case s.latest:
		return r.End
	default:
		return r.Start
	}
}

// ConsumerOpt configures a Consumer.
type ConsumerOpt func(*consumerConfig)

type consumerConfig struct {
	partitions []int32
	start      Start
	pollBytes  int
	outOfRange OutOfRange

	skipDamaged bool
	skipped     func(*BatchError)
}

// ConsumerPartitions chooses partitions; by default all of the topic are read.
func ConsumerPartitions(partitions ...int32) ConsumerOpt {
	return func(c *consumerConfig) { c.partitions = partitions }
}

// ConsumerStart sets where reading begins; Earliest by default.
func ConsumerStart(s Start) ConsumerOpt { return func(c *consumerConfig) { c.start = s } }

// ConsumerPollBytes bounds what a Poll asks the node for, and about how much it
// returns once that is decompressed, in bytes; 1 MiB by default, at most
// talos.MaxFetchBytes. A larger batch is returned all the same, as a whole.
func ConsumerPollBytes(n int) ConsumerOpt { return func(c *consumerConfig) { c.pollBytes = n } }

// OutOfRange says what a consumer does at an offset that has no record: retention
// removed it, or it was never there.
type OutOfRange int

const (
	// OutOfRangeFail is the default: Poll returns a *PartitionError of kind
	// OffsetOutOfRange, with the range that exists, until the application seeks.
	OutOfRangeFail OutOfRange = iota
	// OutOfRangeEarliest goes on at the oldest record that there is.
	OutOfRangeEarliest
	// OutOfRangeLatest goes on behind the newest record.
	OutOfRangeLatest
	// OutOfRangeNearest goes on at the oldest record if the offset lies before it,
	// and behind the newest one otherwise: no record is read twice.
	OutOfRangeNearest
)

// in is where to go on; false means nowhere.
func (o OutOfRange) in(position talos.Offset, r talos.OffsetRange) (talos.Offset, bool) {
	switch o {
	case OutOfRangeEarliest:
		return r.Start, true
	case OutOfRangeLatest:
		return r.End, true
	case OutOfRangeNearest:
		return min(max(position, r.Start), r.End), true
	default:
		return position, false
	}
}

// ConsumerOutOfRange sets what to do at an offset that has no record;
// OutOfRangeFail by default. Stats counts how often a position was moved, and the
// client's logger tells.
func ConsumerOutOfRange(o OutOfRange) ConsumerOpt {
	return func(c *consumerConfig) { c.outOfRange = o }
}

// ConsumerSkipDamaged leaves out batches that can't be taken apart, instead of
// returning a *BatchError from each Poll. Such a batch is fetched a second time
// first. Stats counts them, the client's logger tells, and skipped, if it is not
// nil, is called by Poll with each.
func ConsumerSkipDamaged(skipped func(*BatchError)) ConsumerOpt {
	return func(c *consumerConfig) { c.skipDamaged, c.skipped = true, skipped }
}

func newConsumerConfig(opts []ConsumerOpt) (consumerConfig, error) {
	cfg := consumerConfig{pollBytes: defaultPollBytes}
	for _, opt := range opts {
		opt(&cfg)
	}
	var faults []error
	if cfg.pollBytes < 1 || cfg.pollBytes > talos.MaxFetchBytes {
		faults = append(faults, fmt.Errorf("poll bytes: %d, want 1 to %d", cfg.pollBytes, talos.MaxFetchBytes))
	}
	if cfg.start.at != nil && *cfg.start.at < 0 {
		faults = append(faults, fmt.Errorf("start: offset %d is negative", *cfg.start.at))
	}
	if cfg.outOfRange < OutOfRangeFail || cfg.outOfRange > OutOfRangeNearest {
		faults = append(faults, fmt.Errorf("out of range: no policy %d", cfg.outOfRange))
	}
	if len(faults) > 0 {
		return cfg, &talos.Error{Kind: talos.InvalidConfig, Op: "sdk.NewConsumer", Cause: errors.Join(faults...)}
	}
	return cfg, nil
}

// choose returns the partitions to read, each once.
func (cfg consumerConfig) choose(topic talos.Topic) ([]int32, error) {
	var chosen []int32
	if cfg.partitions == nil {
		for i := range topic.Partitions {
			chosen = append(chosen, i)
		}
		return chosen, nil
	}
	seen := make(map[int32]bool)
	for _, p := range cfg.partitions {
		if p < 0 || p >= topic.Partitions {
			return nil, unknownPartition("sdk.NewConsumer", topic.Name, p, topic.Partitions)
		}
		if !seen[p] {
			chosen = append(chosen, p)
		}
		seen[p] = true
	}
	return chosen, nil
}

func unknownPartition(op string, topic talos.TopicName, partition, count int32) error {
	return &talos.Error{
		Kind: talos.UnknownPartition, Op: op, Subject: subject(topic, partition),
		Detail: fmt.Sprintf("the topic has %d", count),
	}
}
