package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/talos-log/talos/internal/loadgen"
)

// kafkaLinger is how long a producer gathers records for a request. Longer is no
// faster here, and shorter costs throughput at 5,000 records a second and above.
const kafkaLinger = time.Millisecond

// topic makes one whose records are acknowledged by all in-sync replicas, of which
// there must be two of three.
func (k *kafkaCluster) topic(ctx context.Context, partitions int32) (topic, error) {
	name := newName()
	settings := map[string]*string{}
	if k.flush {
		settings["flush.messages"] = text("1")
	}
	settings["min.insync.replicas"] = text(strconv.Itoa(int(k.replicas+1) / 2))
	made, err := k.admin.CreateTopic(ctx, partitions, k.replicas, settings, name)
	if err := errors.Join(err, made.Err); err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	return &kafkaTopic{cluster: k, name: name}, nil
}

func text(s string) *string { return &s }

type kafkaTopic struct {
	cluster *kafkaCluster
	name    string
	closers closers
}

// kafkaSender is an idempotent producer with acks=all. One goroutine of the client
// answers.
type kafkaSender struct{ client *kgo.Client }

func (t *kafkaTopic) sender(context.Context) (loadgen.Sender, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(t.cluster.seeds...), kgo.DefaultProduceTopic(t.name), kgo.DisableClientMetrics(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(kafkaLinger),
		kgo.MaxBufferedRecords(1<<20), kgo.MaxBufferedBytes(bufferBytes), kgo.RecordDeliveryTimeout(clientTimeout),
	)
	if err != nil {
		return nil, err
	}
	t.closers.add(func() error { client.Close(); return nil })
	return kafkaSender{client}, nil
}

func (s kafkaSender) Send(ctx context.Context, partition int32, value []byte, done func(error)) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// What was taken is waited for, also after ctx has ended.
	s.client.Produce(context.WithoutCancel(ctx), &kgo.Record{Partition: partition, Value: value}, func(_ *kgo.Record, err error) { done(err) })
	return nil
}

func (s kafkaSender) Flush(ctx context.Context) error { return s.client.Flush(ctx) }

type kafkaReceiver struct{ client *kgo.Client }

func (t *kafkaTopic) receiver(_ context.Context, partitions []int32) (loadgen.Receiver, func() error, error) {
	offsets := map[int32]kgo.Offset{}
	for _, p := range partitions {
		offsets[p] = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(t.cluster.seeds...), kgo.DisableClientMetrics(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t.name: offsets}),
	)
	if err != nil {
		return nil, nil, err
	}
	return kafkaReceiver{client}, func() error { client.Close(); return nil }, nil
}

func (r kafkaReceiver) Receive(ctx context.Context, each func([]byte)) error {
	fetches := r.client.PollFetches(ctx)
	fetches.EachRecord(func(record *kgo.Record) { each(record.Value) })
	return fetches.Err()
}

func (t *kafkaTopic) close(ctx context.Context) error {
	err := t.closers.close()
	gone, deleting := t.cluster.admin.DeleteTopic(ctx, t.name)
	return errors.Join(err, deleting, gone.Err)
}
