package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/cmd/talos/internal/lines"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

type produceFlags struct {
	file         string
	partition    int32
	keySeparator string
	compression  string
	headers      []string
}

func newProduce(s *settings) *cobra.Command {
	var flags produceFlags
	cmd := &cobra.Command{
		Use:   "produce TOPIC",
		Short: "Write each line of a file or of standard input as a record",
		Long: `Write each line of a file, or of standard input, as a record.

A line ends at \n and nowhere else: carriage returns and invalid UTF-8 are kept
byte for byte. A last line without \n is a record, and so is an empty line.

Which partition a record goes to:
  --partition N         partition N
  --key-separator SEP   the one that the key's hash (Kafka's murmur2) gives, so
                        that records of one key stay in order
  neither               one partition for the whole run, chosen at random, so
                        that the order of the input is kept

Headers that --header gives are those of every record.

The command ends when every record is acknowledged, that is, durable in the
store; it tries for two minutes to reach a node that went away. If a line can't
be sent (it exceeds the record limit, or has no key), the lines before it are
written and acknowledged, and the line is named.`,
		Example: `  talos produce logs --file app.log
  tail -f app.log | talos produce logs --compression zstd
  talos produce logs --file users.tsv --key-separator '\t'
  talos produce logs --file app.log --header host=web1 --header version=3`,
		Args: exactArgs("a topic"),
	}
	cmd.Flags().StringVarP(&flags.file, "file", "f", "-", "read `FILE`; - is standard input")
	partitionFlag(cmd, &flags.partition, "write to partition `N` (default: see above)")
	cmd.Flags().StringVar(&flags.keySeparator, "key-separator", "",
		"split each line at the first `SEP` into key and value; \\t is a tab")
	cmd.Flags().StringArrayVar(&flags.headers, "header", nil, "give each record the header `KEY=VALUE`; may be repeated, and keys as well")
	cmd.Flags().StringVar(&flags.compression, "compression", batch.None.String(),
		"`CODEC` of the record batches: none, gzip, snappy, lz4 or zstd")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return produce(cmd, s, talos.TopicName(args[0]), flags)
	}
	return cmd
}

func produce(cmd *cobra.Command, s *settings, topic talos.TopicName, flags produceFlags) error {
	codec, err := batch.ParseCodec(flags.compression)
	if err != nil {
		return &usageError{text: err.Error(), hint: seeHelp(cmd)}
	}
	if err := checkPartition(cmd, &flags.partition); err != nil {
		return err
	}
	headers, err := parseHeaders(flags.headers)
	if err != nil {
		return &usageError{text: err.Error(), hint: seeHelp(cmd)}
	}
	in := cmd.InOrStdin()
	if flags.file != "-" {
		file, err := openInput(flags.file)
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // it was only read
		in = file
	}

	client, err := s.dial()
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // the producer was closed before: nothing is under way
	setup, cancel := context.WithTimeout(cmd.Context(), s.timeout)
	defer cancel()
	node, err := client.ServerVersion(setup)
	if err != nil {
		return err
	}
	producer, err := client.NewProducer(setup, topic, sdk.ProducerCodec(codec))
	if err != nil {
		return err
	}

	p := &production{
		topic: topic, producer: producer, headers: headers, limit: node.MaxRecordBytes,
		separator: strings.ReplaceAll(flags.keySeparator, `\t`, "\t"), sent: newDeliveries(),
	}
	err = p.choosePartition(flags.partition)
	if err == nil {
		if terminal(in) != nil {
			say(cmd, "type records, one a line; Ctrl-D at the beginning of a line ends")
		}
		p.acknowledged = startMeter(progressOn(cmd), string(topic), inputSize(in), inBytes()...)
		err = p.run(cmd.Context(), in)
		p.acknowledged.end()
		say(cmd, "%s", p.sent.summary(topic))
	}
	if closeErr := producer.Close(context.WithoutCancel(cmd.Context())); err == nil {
		err = closeErr
	}
	return err
}

// production sends one stream of lines.
type production struct {
	topic     talos.TopicName
	producer  *sdk.Producer
	partition partitioner
	separator string
	headers   []talos.Header
	limit     int
	sent      *deliveries
	// acknowledged counts bytes of the input.
	acknowledged *meter
}

func (p *production) choosePartition(explicit int32) error {
	count := p.producer.Partitions()
	if explicit >= count {
		return &talos.Error{
			Kind: talos.UnknownPartition, Subject: fmt.Sprintf("%s/%d", p.topic, explicit),
			Detail: fmt.Sprintf("it has %d", count),
		}
	}
	p.partition = newPartitioner(count, explicit)
	return nil
}

// run sends all of in. Whatever ends it, each record that it sent is
// acknowledged or failed when it returns.
func (p *production) run(ctx context.Context, in io.Reader) error {
	sending, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.sent.onFailure = cancel

	readErr := p.sendAll(sending, in)
	// What was read is delivered even if the user interrupts: that is quick, and a
	// second interrupt ends the process.
	flushErr := p.producer.Flush(context.WithoutCancel(ctx))
	switch failure := p.sent.failure(); {
	case failure != nil:
		return failure
	case ctx.Err() != nil:
		done := p.sent.acknowledged()
		return &hintedError{
			error: fmt.Errorf("interrupted: %s acknowledged, the rest of the input was not read", count(done, "record")),
			hint:  fmt.Sprintf("produce the rest from line %d on: `tail -n +%d`", done+1, done+1),
		}
	case readErr != nil:
		return p.nameLine(readErr)
	default:
		return flushErr
	}
}

// sendAll hands every line to the producer; it returns nil at the end of in.
func (p *production) sendAll(ctx context.Context, in io.Reader) error {
	limit := p.limit + len(p.separator)
	for line := range readLines(ctx, in, limit) {
		if line.err != nil {
			return line.err
		}
		record, err := p.record(line)
		if err != nil {
			return err
		}
		partition := p.partition.choose(record.Key)
		err = p.producer.Send(ctx, partition, record, func(d sdk.Delivery, err error) {
			p.sent.add(line.number, d, err)
			p.acknowledged.add(int64(len(line.text)) + 1)
		})
		if err != nil {
			return fmt.Errorf("line %d: %w", line.number, err)
		}
	}
	return nil
}

func (p *production) record(line line) (talos.Record, error) {
	if p.separator == "" {
		return talos.Record{Value: line.text, Headers: p.headers}, nil
	}
	if key, value, ok := bytes.Cut(line.text, []byte(p.separator)); ok {
		return talos.Record{Key: key, Value: value, Headers: p.headers}, nil
	}
	return talos.Record{}, &hintedError{
		error: &talos.Error{
			Kind: talos.InvalidRequest, Subject: fmt.Sprintf("line %d", line.number),
			Detail: fmt.Sprintf("it has no key: %q does not occur in it", p.separator),
		},
		hint: "give every line a key, or leave --key-separator out",
	}
}

// nameLine says of a line that is too long how long it is.
func (p *production) nameLine(err error) error {
	tooLong, ok := err.(*lines.TooLongError) //nolint:errorlint // the reader returns it as it is
	if !ok {
		return err
	}
	size, exact := tooLong.Measure()
	more := ""
	if !exact {
		more = "more than "
	}
	return &talos.Error{
		Kind: talos.RecordTooLarge, Subject: fmt.Sprintf("line %d", tooLong.Line),
		Detail: fmt.Sprintf("it has %s%d bytes, the limit is %d", more, size, p.limit),
	}
}
