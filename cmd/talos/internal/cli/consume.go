package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// outputBuffer is how much output is written at once, in bytes. It is written at
// the latest before the command waits for more records.
const outputBuffer = 64 << 10

type consumeFlags struct {
	from      string
	partition int32
	max       int64
	follow    bool
}

func newConsume(s *settings) *cobra.Command {
	var flags consumeFlags
	cmd := &cobra.Command{
		Use:   "consume TOPIC",
		Short: "Read records and print their values, each followed by a newline",
		Long: `Read records and print their values byte for byte, each followed by a newline.

All partitions are read, unless --partition names one. Records of one partition
come in the order of their offsets; those of different partitions mix.

Without --follow the command ends at the end that each partition had when it
started. With --follow it waits for more until it is interrupted (Ctrl-C), which
counts as success, as does a reader that closes the output, such as head. It
lives through restarts of the node.

With -o json, one object per line.`,
		Example: `  talos consume logs --from earliest
  talos consume logs --from latest --follow
  talos consume logs --partition 2 --from 100 --max 10 -o json`,
		Args: exactArgs("a topic"),
	}
	cmd.Flags().StringVar(&flags.from, "from", "earliest", "begin at `START`: earliest, latest, or an offset, which then counts in each partition")
	partitionFlag(cmd, &flags.partition, "read partition `N` (default all)")
	cmd.Flags().Int64VarP(&flags.max, "max", "n", 0, "end after `N` records in total (default all)")
	cmd.Flags().BoolVar(&flags.follow, "follow", false, "wait for more records at the end")
	out := outputFlag(cmd, recordJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkPartition(cmd, &flags.partition); err != nil {
			return err
		}
		start, err := flags.start(cmd)
		if err != nil {
			return err
		}
		return consume(cmd, s, talos.TopicName(args[0]), flags, start, *out)
	}
	return cmd
}

// start checks the flags, and tells where to begin.
func (f consumeFlags) start(cmd *cobra.Command) (sdk.Start, error) {
	if cmd.Flags().Changed("max") && f.max < 1 {
		return sdk.Start{}, &usageError{text: fmt.Sprintf("--max %d: want at least 1", f.max), hint: seeHelp(cmd)}
	}
	switch f.from {
	case "earliest":
		return sdk.Earliest, nil
	case "latest":
		return sdk.Latest, nil
	default:
		offset, err := strconv.ParseInt(f.from, 10, 64)
		if err != nil || offset < 0 {
			return sdk.Start{}, &usageError{
				text: fmt.Sprintf("--from %q: want earliest, latest, or an offset from 0 on", f.from), hint: seeHelp(cmd),
			}
		}
		return sdk.At(talos.Offset(offset)), nil
	}
}

func consume(cmd *cobra.Command, s *settings, topic talos.TopicName, flags consumeFlags, start sdk.Start, f format) (err error) {
	client, err := s.dial()
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // nothing is under way that could fail
	setup, cancel := context.WithTimeout(cmd.Context(), s.timeout)
	defer cancel()
	opts := []sdk.ConsumerOpt{sdk.ConsumerStart(start)}
	if flags.partition != allPartitions {
		opts = append(opts, sdk.ConsumerPartitions(flags.partition))
	}
	consumer, err := client.NewConsumer(setup, topic, opts...)
	if err != nil {
		return err
	}
	defer consumer.Close() //nolint:errcheck // it was only read

	out := bufio.NewWriterSize(cmd.OutOrStdout(), outputBuffer)
	c := &consumption{consumer: consumer, flags: flags, timeout: s.timeout, out: recordWriter{out: out, format: f}}
	ctx, stop := whileRead(cmd.Context(), cmd.OutOrStdout())
	defer stop()
	err = c.run(ctx)
	if ctx.Err() != nil && talos.KindOf(err) == talos.Canceled {
		err = nil // interrupted, or nobody reads: the user has seen enough
	}
	return errors.Join(out.Flush(), advise(err))
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
	flags    consumeFlags
	// timeout is how long to wait for records that are known to be there.
	timeout time.Duration
	out     recordWriter
	printed int64
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
			if !c.flags.follow && m.Offset >= c.consumer.End(m.Partition) {
				continue
			}
			if err := c.out.write(m); err != nil {
				return err
			}
			if c.printed++; c.printed == c.flags.max {
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
	if !c.flags.follow {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	return c.consumer.Poll(ctx)
}

// done tells whether every partition was read up to the end that it had at the
// start.
func (c *consumption) done() bool {
	if c.flags.follow {
		return false
	}
	for _, p := range c.consumer.Partitions() {
		if c.consumer.Position(p) < c.consumer.End(p) {
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
