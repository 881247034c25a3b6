package sdk

import (
	"errors"
	"fmt"

	"github.com/talos-log/talos/talos"
)

// defaultPollBytes is how much a consumer asks for at a time.
const defaultPollBytes = 1 << 20

// Start is where a consumer begins in each of its partitions: Earliest, Latest
// or At an offset. The zero value is Earliest.
type Start struct {
	latest bool
	at     *talos.Offset
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

// in is the offset that s means in a partition.
func (s Start) in(r talos.OffsetRange) talos.Offset {
	switch {
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
			return nil, unknownPartition("sdk.NewConsumer", topic, p)
		}
		if !seen[p] {
			chosen = append(chosen, p)
		}
		seen[p] = true
	}
	return chosen, nil
}

func unknownPartition(op string, topic talos.Topic, partition int32) error {
	return &talos.Error{
		Kind: talos.UnknownPartition, Op: op, Subject: subject(topic.Name, partition),
		Detail: fmt.Sprintf("the topic has %d", topic.Partitions),
	}
}
