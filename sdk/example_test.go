package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/sdk/fake"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// withCluster runs an example over a cluster in memory that has the topic logs.
func withCluster(partitions int32, example func(ctx context.Context, address string) error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cluster, err := fake.Start(ctx)
	if err == nil {
		_, err = cluster.Client().CreateTopic(ctx, "logs", partitions, talos.TopicConfig{})
	}
	if err == nil {
		err = example(ctx, cluster.Address())
	}
	if err = errors.Join(err, cluster.Close()); err != nil {
		fmt.Println(err)
	}
}

// The ten lines of the README.
func Example() {
	withCluster(1, hello)
	// Output: stored at offset 0
}

func hello(ctx context.Context, address string) error {
	client, err := sdk.Dial(address) // "127.0.0.1:7070", or several, separated by commas
	if err != nil {
		return err
	}
	defer client.Close()
	producer, err := client.NewProducer(ctx, "logs")
	if err != nil {
		return err
	}
	delivery, err := producer.SendSync(ctx, sdk.PartitionAny, talos.Record{Value: []byte("hello, log")})
	if err != nil {
		return err
	}
	fmt.Println("stored at offset", delivery.Offset)
	return producer.Close(ctx)
}

// Send returns at once; what became of a record is told to a function. Flush
// waits for all.
func ExampleProducer_Send() {
	withCluster(1, func(ctx context.Context, address string) error {
		client, err := sdk.Dial(address)
		if err != nil {
			return err
		}
		defer client.Close()
		producer, err := client.NewProducer(ctx, "logs", sdk.ProducerCodec(batch.Zstd))
		if err != nil {
			return err
		}
		for i := range 3 {
			record := talos.Record{
				Key: []byte("user-7"), Value: fmt.Appendf(nil, "click %d", i),
				Headers: []talos.Header{{Key: "source", Value: []byte("web")}},
			}
			err := producer.Send(ctx, sdk.PartitionAny, record, func(d sdk.Delivery, err error) {
				fmt.Println("offset", d.Offset, "error", err)
			})
			if err != nil {
				return err // it was not taken
			}
		}
		if err := producer.Flush(ctx); err != nil {
			return err
		}
		return producer.Close(ctx)
	})
	// Output:
	// offset 0 error <nil>
	// offset 1 error <nil>
	// offset 2 error <nil>
}

// Any function can choose the partitions.
func ExampleProducerPartitioner() {
	withCluster(4, func(ctx context.Context, address string) error {
		client, err := sdk.Dial(address)
		if err != nil {
			return err
		}
		defer client.Close()
		byLength := func(r *talos.Record, count int32) int32 { return int32(len(r.Value)) % count }
		producer, err := client.NewProducer(ctx, "logs", sdk.ProducerPartitioner(byLength))
		if err != nil {
			return err
		}
		for _, value := range []string{"four", "five!", "sixsix"} {
			d, err := producer.SendSync(ctx, sdk.PartitionAny, talos.Record{Value: []byte(value)})
			if err != nil {
				return err
			}
			fmt.Println(value, "went to partition", d.Partition)
		}
		return producer.Close(ctx)
	})
	// Output:
	// four went to partition 0
	// five! went to partition 1
	// sixsix went to partition 2
}

// produce is what the examples of consumers read.
func produce(ctx context.Context, client *sdk.Client, values ...string) error {
	producer, err := client.NewProducer(ctx, "logs")
	if err != nil {
		return err
	}
	for _, v := range values {
		if err := producer.Send(ctx, 0, talos.Record{Value: []byte(v)}, nil); err != nil {
			return err
		}
	}
	return producer.Close(ctx)
}

// A loop over records ends with its context, or where the body leaves it.
func ExampleConsumer_Records() {
	withCluster(1, func(ctx context.Context, address string) error {
		client, err := sdk.Dial(address)
		if err != nil {
			return err
		}
		defer client.Close()
		if err := produce(ctx, client, "first", "second", "last"); err != nil {
			return err
		}
		consumer, err := client.NewConsumer(ctx, "logs", sdk.ConsumerStart(sdk.Earliest))
		if err != nil {
			return err
		}
		defer consumer.Close()
		for record, err := range consumer.Records(ctx) {
			if err != nil {
				return err
			}
			fmt.Printf("%d %s\n", record.Offset, record.Value)
			if string(record.Value) == "last" {
				break
			}
		}
		return nil
	})
	// Output:
	// 0 first
	// 1 second
	// 2 last
}

// Poll returns records in batches. What to do where there is no record is the
// application's choice, made in advance or when it happens.
func ExampleConsumer_Poll() {
	withCluster(1, func(ctx context.Context, address string) error {
		client, err := sdk.Dial(address)
		if err != nil {
			return err
		}
		defer client.Close()
		if err := produce(ctx, client, "a", "b"); err != nil {
			return err
		}
		consumer, err := client.NewConsumer(ctx, "logs", sdk.ConsumerStart(sdk.At(100)))
		if err != nil {
			return err
		}
		defer consumer.Close()
		_, err = consumer.Poll(ctx)
		var outOfRange *talos.Error
		if errors.As(err, &outOfRange) && outOfRange.Kind == talos.OffsetOutOfRange {
			fmt.Println(outOfRange.Range)
			if err := consumer.Seek(0, outOfRange.Range.Start); err != nil {
				return err
			}
		}
		messages, err := consumer.Poll(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("from offset %d: %s\n", messages[0].Offset, messages[0].Value)
		return nil
	})
	// Output:
	// offsets 0 to 1 exist
	// from offset 0: a
}

// Topics are made, described and deleted through any node.
func ExampleClient_CreateTopic() {
	withCluster(1, func(ctx context.Context, address string) error {
		client, err := sdk.Dial(address)
		if err != nil {
			return err
		}
		defer client.Close()
		if _, err := client.CreateTopic(ctx, "events", 12, talos.TopicConfig{SegmentBytes: 64 << 20}); err != nil {
			return err
		}
		_, err = client.CreateTopic(ctx, "events", 12, talos.TopicConfig{})
		fmt.Println(errors.Is(err, talos.TopicExists))
		topics, err := client.Topics(ctx)
		if err != nil {
			return err
		}
		for _, topic := range topics {
			fmt.Println(topic.Name, topic.Partitions)
		}
		return client.DeleteTopic(ctx, "events")
	})
	// Output:
	// true
	// events 12
	// logs 1
}

// The members of a group share the partitions of its topics; what is processed is
// committed, and the next member goes on there.
func ExampleGroup() {
	withCluster(2, func(ctx context.Context, address string) error {
		client, err := sdk.Dial(address)
		if err != nil {
			return err
		}
		defer client.Close()
		if err := produce(ctx, client, "a", "b", "stop", "c", "stop"); err != nil {
			return err
		}
		return errors.Join(bill(ctx, client), bill(ctx, client))
	})
	// Output:
	// a at 0
	// b at 1
	// stop at 2
	// c at 3
	// stop at 4
}

func bill(ctx context.Context, client *sdk.Client) error {
	group, err := client.NewGroup(ctx, "billing", []talos.TopicName{"logs"})
	if err != nil {
		return err
	}
	defer group.Close(ctx) // commits what is processed, and leaves
	for record, err := range group.Records(ctx) {
		if err != nil {
			return err
		}
		fmt.Printf("%s at %d\n", record.Value, record.Offset)
		if string(record.Value) == "stop" {
			break
		}
	}
	return group.Commit(ctx) // the last one, too
}

// Exactly once into a store of one's own: each batch of records and the offset behind
// it go into one transaction there, and a member that gets a partition goes on where
// the store says. What Talos would have committed does not count.
func ExampleGroupOnAssigned() {
	withCluster(1, func(ctx context.Context, address string) error {
		client, err := sdk.Dial(address)
		if err != nil {
			return err
		}
		defer client.Close()
		if err := produce(ctx, client, "10", "20", "30", "40"); err != nil {
			return err
		}
		// A database with two tables, and its transactions.
		type database struct {
			sum     int
			offsets map[sdk.GroupPartition]talos.Offset
		}
		db := database{offsets: make(map[sdk.GroupPartition]talos.Offset)}
		for range 2 { // the second member comes after the first one has crashed
			group, err := client.NewGroup(ctx, "sums", []talos.TopicName{"logs"}, sdk.GroupManualCommit(),
				sdk.GroupOnAssigned(func(_ context.Context, starts map[sdk.GroupPartition]talos.Offset) error {
					for p := range starts {
						if offset, ok := db.offsets[p]; ok {
							starts[p] = offset
						}
					}
					return nil
				}))
			if err != nil {
				return err
			}
			for m, err := range group.Records(ctx) {
				if err != nil {
					return err
				}
				n, err := strconv.Atoi(string(m.Value))
				if err != nil {
					return err
				}
				// One transaction:
				db.sum += n
				db.offsets[sdk.GroupPartition{Topic: m.Topic, Partition: m.Partition}] = m.Offset + 1
				if m.Offset == 1 || m.Offset == 3 {
					break
				}
			}
			if err := group.Close(ctx); err != nil {
				return err
			}
		}
		fmt.Println("sum", db.sum)
		return nil
	})
	// Output: sum 100
}
