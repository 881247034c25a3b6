package fake_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/sdk/fake"
	"github.com/talos-log/talos/talos"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func record(v string) talos.Record { return talos.Record{Value: []byte(v)} }

// drain reads n records of a topic from the start.
func drain(t *testing.T, client *sdk.Client, topic talos.TopicName, n int) []string {
	t.Helper()
	consumer, err := client.NewConsumer(t.Context(), topic)
	require.NoError(t, err)
	defer consumer.Close() //nolint:errcheck // it was only read
	var got []string
	for m, err := range consumer.Records(t.Context()) {
		require.NoError(t, err)
		if got = append(got, string(m.Value)); len(got) == n {
			break
		}
	}
	return got
}

func TestOverLoopbackAndOverMemory(t *testing.T) {
	for name, opts := range map[string][]fake.Option{"loopback": nil, "memory": {fake.WithoutNetwork()}} {
		t.Run(name, func(t *testing.T) {
			client := fake.StartT(t, opts...).Client()
			_, err := client.CreateTopic(t.Context(), "logs", 1, talos.TopicConfig{})
			require.NoError(t, err)
			producer, err := client.NewProducer(t.Context(), "logs")
			require.NoError(t, err)
			_, err = producer.SendSync(t.Context(), sdk.PartitionAny, record("x"))
			require.NoError(t, err)
			require.NoError(t, producer.Close(t.Context()))
			require.Equal(t, []string{"x"}, drain(t, client, "logs", 1))
		})
	}
}

// In virtual time a long poll of minutes costs nothing.
func TestVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster, err := fake.Start(t.Context(), fake.WithoutNetwork())
		require.NoError(t, err)
		client := cluster.Client()
		_, err = client.CreateTopic(t.Context(), "logs", 1, talos.TopicConfig{})
		require.NoError(t, err)
		consumer, err := client.NewConsumer(t.Context(), "logs")
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		_, err = consumer.Poll(ctx)
		require.ErrorIs(t, err, talos.Timeout)
		require.NoError(t, cluster.Close())
	})
}

// What was acknowledged is there after the node that took it ended, and producers
// and consumers go on, each record once and in order.
func TestClientsLiveThroughAMoveToAnotherNode(t *testing.T) {
	const nodes, rounds, perRound = 3, 4, 25
	cluster := fake.StartT(t, fake.Nodes(nodes))
	client := cluster.Client()
	_, err := client.CreateTopic(t.Context(), "logs", 2, talos.TopicConfig{})
	require.NoError(t, err)
	producer, err := client.NewProducer(t.Context(), "logs")
	require.NoError(t, err)
	consumer, err := client.NewConsumer(t.Context(), "logs", sdk.ConsumerPartitions(0))
	require.NoError(t, err)

	var want, got []string
	for round := range rounds {
		for i := range perRound {
			v := fmt.Sprintf("%d.%d", round, i)
			want = append(want, v)
			require.NoError(t, producer.Send(t.Context(), 0, record(v), func(_ sdk.Delivery, err error) {
				if err != nil {
					t.Errorf("%s: %v", v, err)
				}
			}))
			if i == perRound/2 {
				before := cluster.Serving()
				require.NoError(t, cluster.Stop(before))
				require.NoError(t, cluster.StartNode(t.Context(), before))
			}
		}
		require.NoError(t, producer.Flush(t.Context()))
	}
	for len(got) < len(want) {
		messages, err := consumer.Poll(t.Context())
		require.NoError(t, err)
		for _, m := range messages {
			require.EqualValues(t, len(got), m.Offset)
			got = append(got, string(m.Value))
		}
	}
	require.Equal(t, want, got)
	require.NoError(t, producer.Close(t.Context()))
}

// A client that knows several addresses does without one of them.
func TestTheLossOfOneAddress(t *testing.T) {
	cluster := fake.StartT(t, fake.Nodes(2), fake.WithoutNetwork())
	serving := cluster.Serving()
	all, err := cluster.Dial()
	require.NoError(t, err)
	_, err = all.CreateTopic(t.Context(), "logs", 1, talos.TopicConfig{})
	require.NoError(t, err)
	require.NoError(t, cluster.Stop(serving))
	require.Eventually(t, func() bool { return cluster.Serving() >= 0 }, time.Minute, time.Millisecond)
	_, err = all.Topics(t.Context())
	require.NoError(t, err, "one of its addresses is left")
	require.NotEqual(t, serving, cluster.Serving())
}

func TestRestart(t *testing.T) {
	cluster := fake.StartT(t)
	client := cluster.Client()
	_, err := client.CreateTopic(t.Context(), "logs", 1, talos.TopicConfig{})
	require.NoError(t, err)
	producer, err := client.NewProducer(t.Context(), "logs")
	require.NoError(t, err)
	for i, v := range []string{"before", "behind"} {
		d, err := producer.SendSync(t.Context(), 0, record(v))
		require.NoError(t, err)
		require.EqualValues(t, i, d.Offset)
		require.NoError(t, cluster.Restart(t.Context()))
	}
	require.Equal(t, []string{"before", "behind"}, drain(t, client, "logs", 2))
	require.NoError(t, producer.Close(t.Context()))
}

func TestRecordBytes(t *testing.T) {
	client := fake.StartT(t, fake.RecordBytes(10)).Client()
	_, err := client.CreateTopic(t.Context(), "logs", 1, talos.TopicConfig{})
	require.NoError(t, err)
	producer, err := client.NewProducer(t.Context(), "logs")
	require.NoError(t, err)
	_, err = producer.SendSync(t.Context(), 0, record("more than ten"))
	require.ErrorIs(t, err, talos.RecordTooLarge)
	require.NoError(t, producer.Close(t.Context()))
}

func TestStartRefuses(t *testing.T) {
	for name, opt := range map[string]fake.Option{
		"no node": fake.Nodes(0), "too many nodes": fake.Nodes(17), "no limit": fake.RecordBytes(-1),
		"no protocols": fake.Protocols(talos.Protocols{Oldest: 2, Newest: 1}),
	} {
		_, err := fake.Start(t.Context(), opt)
		require.ErrorIs(t, err, talos.InvalidConfig, name)
	}
	cluster := fake.StartT(t)
	require.ErrorIs(t, cluster.StartNode(t.Context(), 0), talos.InvalidRequest)
}
