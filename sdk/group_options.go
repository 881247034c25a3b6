package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/talos-log/talos/talos"
)

const (
	// defaultSession is how long a member may be silent.
	defaultSession = 15 * time.Second
	// defaultProcessing is how long an application may be between two calls of Poll.
	defaultProcessing = 5 * time.Minute
	// maxGroupTopics bounds the topics of one member.
	maxGroupTopics = 1000
)

// GroupPartition is a partition that a member of a group reads.
type GroupPartition struct {
	Topic     talos.TopicName
	Partition int32
}

// GroupOpt configures a Group.
type GroupOpt func(*groupConfig)

type groupConfig struct {
	topics     []string
	instance   string
	client     string
	session    time.Duration
	processing time.Duration
	start      Start
	manual     bool
	every      time.Duration
	reading    consumerConfig
	// The hooks; nil for none.
	assigned func(context.Context, map[GroupPartition]talos.Offset) error
	revoked  func(context.Context, []GroupPartition) error
	lost     func([]GroupPartition)
}

// GroupInstance gives the member a name that it keeps: when it is closed and comes
// back under the same name within the session timeout, it gets what it had, and
// nobody else is disturbed. Two members of one name at the same time: the earlier
// one ends with FencedInstance.
func GroupInstance(name string) GroupOpt { return func(c *groupConfig) { c.instance = name } }

// GroupClientID is how `talos group describe` calls the member; empty by default.
func GroupClientID(name string) GroupOpt { return func(c *groupConfig) { c.client = name } }

// GroupSessionTimeout is how long the coordinator goes without a word of the member
// before others get what it reads; 15 s by default, 1 s to 30 min. A member that
// reaches no coordinator for so long stops reading by itself.
func GroupSessionTimeout(d time.Duration) GroupOpt { return func(c *groupConfig) { c.session = d } }

// GroupMaxProcessing is how long the application may take between two calls of Poll,
// 5 min by default: then the member leaves the group, since the application may
// hang, and joins again with the next Poll. It is also how long the group waits for
// the member to give a partition up.
func GroupMaxProcessing(d time.Duration) GroupOpt { return func(c *groupConfig) { c.processing = d } }

// GroupStart sets where reading begins in a partition of which nothing is
// committed; Earliest by default.
func GroupStart(s Start) GroupOpt { return func(c *groupConfig) { c.start = s } }

// GroupCommitEvery commits what is processed at this interval, and when a partition is
// given up, instead of after each Poll: fewer commits, and more records that come
// twice after a crash.
func GroupCommitEvery(d time.Duration) GroupOpt { return func(c *groupConfig) { c.every = d } }

// GroupManualCommit commits nothing but what Commit is called for.
func GroupManualCommit() GroupOpt { return func(c *groupConfig) { c.manual = true } }

// GroupReading takes ConsumerPollBytes, ConsumerOutOfRange and ConsumerSkipDamaged
// for the member's reading.
func GroupReading(opts ...ConsumerOpt) GroupOpt {
	return func(c *groupConfig) {
		for _, opt := range opts {
			opt(&c.reading)
		}
	}
}

// GroupOnAssigned calls f, within Poll, before partitions are read that the member
// gets, with the offsets at which reading is to begin. f may change these: to where
// the application's own store says that it is. An error of f is Poll's; the next
// Poll tries again.
func GroupOnAssigned(f func(ctx context.Context, starts map[GroupPartition]talos.Offset) error) GroupOpt {
	return func(c *groupConfig) { c.assigned = f }
}

// GroupOnRevoked calls f, within Poll, when nothing more is read of partitions that
// are to go to other members, before what is processed of them is committed and they
// are given up. With GroupManualCommit it is the place to commit. An error of f is
// Poll's; the next Poll tries again.
func GroupOnRevoked(f func(ctx context.Context, partitions []GroupPartition) error) GroupOpt {
	return func(c *groupConfig) { c.revoked = f }
}

// GroupOnLost calls f, within Poll, with partitions that others may read already:
// the member was out of reach, or hung. What was not committed of them is read
// again.
func GroupOnLost(f func(partitions []GroupPartition)) GroupOpt {
	return func(c *groupConfig) { c.lost = f }
}

func newGroupConfig(topics []talos.TopicName, opts []GroupOpt) (groupConfig, error) {
	cfg := groupConfig{session: defaultSession, processing: defaultProcessing}
	for _, opt := range opts {
		opt(&cfg)
	}
	var faults []error
	for _, t := range topics {
		faults = append(faults, t.Validate())
		cfg.topics = append(cfg.topics, string(t))
	}
	slices.Sort(cfg.topics)
	cfg.topics = slices.Compact(cfg.topics)
	need := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	need(len(topics) > 0, "topics: there are none")
	need(len(topics) <= maxGroupTopics, "topics: %d, want %d at most", len(topics), maxGroupTopics)
	need(cfg.session >= time.Second && cfg.session <= 30*time.Minute, "session timeout: %v, want 1s to 30m", cfg.session)
	need(cfg.processing >= time.Second && cfg.processing <= 30*time.Minute, "max processing: %v, want 1s to 30m", cfg.processing)
	need(cfg.every >= 0, "commit interval: %v is negative", cfg.every)
	need(!cfg.manual || cfg.every == 0, "commits are manual, or at an interval, but not both")
	need(cfg.reading.partitions == nil && cfg.reading.start == Start{}, "reading: the group chooses partitions, and GroupStart the start")
	reading, err := newConsumerConfig([]ConsumerOpt{func(c *consumerConfig) {
		if cfg.reading.pollBytes == 0 {
			cfg.reading.pollBytes = c.pollBytes
		}
		*c = cfg.reading
	}})
	faults = append(faults, err)
	reading.partitions = []int32{} // it adds none by itself
	cfg.reading = reading
	if err := errors.Join(faults...); err != nil {
		return cfg, &talos.Error{Kind: talos.InvalidConfig, Op: "sdk.NewGroup", Cause: err}
	}
	return cfg, nil
}
