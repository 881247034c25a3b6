package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// outputBuffer is how much output is written at once, in bytes. It is written at
// the latest before the command waits for more records.
const outputBuffer = 64 << 10

// consume runs a plan.
func consume(cmd *cobra.Command, s *settings, p consumePlan) error {
	client, err := s.dial()
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // nothing is under way that could fail
	setup, cancel := context.WithTimeout(cmd.Context(), s.timeout)
	defer cancel()
	opts := []sdk.ConsumerOpt{sdk.ConsumerStart(p.from.start())}
	if p.partition != allPartitions {
		opts = append(opts, sdk.ConsumerPartitions(p.partition))
	}
	consumer, err := client.NewConsumer(setup, p.topic, opts...)
	if err != nil {
		return err
	}
	defer consumer.Close() //nolint:errcheck // it was only read
	ends, err := p.ends(setup, client, presentEnds(consumer))
	if err != nil {
		return err
	}

	out := bufio.NewWriterSize(cmd.OutOrStdout(), outputBuffer)
	c := &consumption{
		consumer: consumer, plan: p, ends: ends, timeout: s.timeout,
		out: recordWriter{out: out, format: p.output, template: p.template},
	}
	ctx, stop := whileRead(cmd.Context(), cmd.OutOrStdout())
	defer stop()
	if showsProgress(cmd.OutOrStdout(), p) {
		c.meter = startMeter(progressOn(cmd), string(p.topic), c.expected())
	}
	err = c.run(ctx)
	c.meter.end()
	if ctx.Err() != nil && talos.KindOf(err) == talos.Canceled {
		err = nil // interrupted, or nobody reads: the user has seen enough
	}
	return errors.Join(out.Flush(), advise(err))
}

// timeFinder finds offsets by time; an sdk.Client is one.
type timeFinder interface {
	OffsetsAt(ctx context.Context, topic talos.TopicName, at time.Time) ([]sdk.PartitionOffsets, error)
}

// ends tells where each partition that is read ends for this run; present has
// where it ends now.
func (p consumePlan) ends(ctx context.Context, find timeFinder, present map[int32]talos.Offset) (map[int32]talos.Offset, error) {
	ends := maps.Clone(present)
	switch p.until.kind {
	case atOffset:
		for number, end := range ends {
			ends[number] = min(end, p.until.offset)
		}
	case atTime:
		found, err := find.OffsetsAt(ctx, p.topic, p.until.time)
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			end, read := ends[o.Partition]
			if read && o.Err != nil {
				return nil, o.Err
			}
			if read {
				ends[o.Partition] = min(end, o.AtTime)
			}
		}
	case atEarliest, atLatest: // not given: all that is there
	}
	return ends, nil
}

// presentEnds are the ends that the partitions had when the consumer began.
func presentEnds(consumer *sdk.Consumer) map[int32]talos.Offset {
	ends := make(map[int32]talos.Offset)
	for _, number := range consumer.Partitions() {
		ends[number] = consumer.End(number)
	}
	return ends
}

// advise says how to go on behind a batch that can't be decoded.
func advise(err error) error {
	var bad *sdk.BatchError
	if !errors.As(err, &bad) {
		return err
	}
	return &hintedError{
		error: fmt.Errorf("partition %d, offsets %d to %d: %w", bad.Partition, bad.Base, bad.Next-1, bad.Err),
		hint:  fmt.Sprintf("go on behind it with --partition %d --from %d", bad.Partition, bad.Next),
	}
}

// consumption reads until there is nothing more to read.
type consumption struct {
	consumer *sdk.Consumer
	plan     consumePlan
	// ends are the offsets behind the last record that is wanted of each partition,
	// if the plan is not to follow; 0 of one that was added since.
	ends map[int32]talos.Offset
	// timeout is how long to wait for records that are known to be there.
	timeout time.Duration
	out     recordWriter
	printed int64
	meter   *meter
}

// showsProgress: a bar would mix with records on the same terminal, and with what
// reads a pipe, such as a pager.
func showsProgress(out io.Writer, p consumePlan) bool {
	file, ok := out.(*os.File)
	if !ok || p.follow || p.output == formatJSON || terminal(file) != nil {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0
}

// expected is how many records there are to print.
func (c *consumption) expected() int64 {
	n := int64(0)
	for p, end := range c.ends {
		n += max(0, int64(end-c.consumer.Position(p)))
	}
	if c.plan.max > 0 {
		n = min(n, c.plan.max)
	}
	return n
}

func (c *consumption) run(ctx context.Context) error {
	if err := c.startsInRange(); err != nil {
		return err
	}
	for !c.done() {
		messages, err := c.poll(ctx)
		if err != nil {
			return err
		}
		for i := range messages {
			m := &messages[i]
			if !c.plan.follow && m.Offset >= c.ends[m.Partition] {
				continue
			}
			if err := c.out.write(m); err != nil {
				return err
			}
			c.meter.add(1)
			if c.printed++; c.printed == c.plan.max {
				return nil
			}
		}
		if err := c.out.out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// poll waits for records: for as long as it takes to follow, but not for ever
// where they were seen, and a node that is gone keeps them from coming.
func (c *consumption) poll(ctx context.Context) ([]sdk.Message, error) {
	if !c.plan.follow {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	return c.consumer.Poll(ctx)
}

// done tells whether every partition was read up to its end.
func (c *consumption) done() bool {
	if c.plan.follow {
		return false
	}
	for _, p := range c.consumer.Partitions() {
		if c.consumer.Position(p) < c.ends[p] {
			return false
		}
	}
	return true
}

// startsInRange refuses an offset behind the end: without it, the command would
// print nothing and look as if there were nothing.
func (c *consumption) startsInRange() error {
	for _, p := range c.consumer.Partitions() {
		if position, end := c.consumer.Position(p), c.consumer.End(p); position > end {
			return &talos.Error{
				Kind: talos.OffsetOutOfRange, Subject: fmt.Sprintf("partition %d", p),
				Detail: fmt.Sprintf("offset %d was asked for, the next record gets %d", position, end),
			}
		}
	}
	return nil
}
