package sdk_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// consuming runs a test in virtual time, with a client of the node.
func consuming(t *testing.T, n *node, test func(t *testing.T, client *sdk.Client)) {
	synctest.Test(t, func(t *testing.T) {
		client, stop := n.serve(t)
		defer stop()
		test(t, client)
	})
}

func consumer(t *testing.T, client *sdk.Client, opts ...sdk.ConsumerOpt) *sdk.Consumer {
	c, err := client.NewConsumer(t.Context(), "logs", opts...)
	require.NoError(t, err)
	return c
}

func poll(t *testing.T, c *sdk.Consumer) []string {
	messages, err := c.Poll(t.Context())
	require.NoError(t, err)
	return values(messages)
}

func values(messages []sdk.Message) []string {
	var all []string
	for _, m := range messages {
		all = append(all, string(m.Value))
	}
	return all
}

func TestStart(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, batch.None, "0", "1", "2")
		n.put(t, 0, batch.None, "3", "4")
		n.mu.Lock()
		n.partitions[0].start = 1
		n.mu.Unlock()
		for _, c := range []struct {
			name  string
			start sdk.Start
			want  talos.Offset
		}{
			{"earliest", sdk.Earliest, 1},
			{"latest", sdk.Latest, 5},
			{"an offset", sdk.At(3), 3},
			{"offset 0", sdk.At(0), 0},
		} {
			r := consumer(t, client, sdk.ConsumerStart(c.start))
			require.Equal(t, c.want, r.Position(0), c.name)
			require.EqualValues(t, 5, r.End(0), c.name)
			require.NoError(t, r.Close())
		}
		require.EqualValues(t, 1, consumer(t, client).Position(0), "earliest unless told otherwise")
	})
}

func TestPollReturnsRecordsAsTheyWere(t *testing.T) {
	n := newNode(2)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		p, err := client.NewProducer(t.Context(), "logs", sdk.ProducerCodec(batch.LZ4))
		require.NoError(t, err)
		r := talos.Record{
			Key: []byte("k"), Value: []byte("v\r\n\xff"), Timestamp: noon,
			Headers: []talos.Header{{Key: "h", Value: nil}, {Key: "h", Value: []byte{}}},
		}
		_, err = p.SendSync(t.Context(), 1, r)
		require.NoError(t, err)
		messages, err := consumer(t, client).Poll(t.Context())
		require.NoError(t, err)
		require.Equal(t, []sdk.Message{{Topic: "logs", Partition: 1, Offset: 0, Record: r}}, messages)
	})
}

// A batch is always fetched whole; what lies below the offset is left out.
func TestPollSkipsWhatLiesBelow(t *testing.T) {
	for codec := batch.None; codec.Known(); codec++ {
		n := newNode(1)
		consuming(t, n, func(t *testing.T, client *sdk.Client) {
			n.put(t, 0, codec, "0", "1", "2", "3")
			c := consumer(t, client, sdk.ConsumerStart(sdk.At(2)))
			messages, err := c.Poll(t.Context())
			require.NoError(t, err)
			require.Equal(t, []string{"2", "3"}, values(messages))
			require.EqualValues(t, 2, messages[0].Offset)
			require.EqualValues(t, 4, c.Position(0))
		})
	}
}

// At the end a Poll waits at the node, and ends as soon as there is a record.
func TestLongPoll(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		c := consumer(t, client, sdk.ConsumerStart(sdk.Latest))
		start := time.Now()
		time.AfterFunc(12*time.Second, func() { n.put(t, 0, batch.None, "late") })
		require.Equal(t, []string{"late"}, poll(t, c))
		require.Equal(t, 12*time.Second, time.Since(start))
		require.Len(t, n.fetches, 3, "5 s each")
	})
}

func TestPollEndsWithItsContextOrTheConsumer(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		c := consumer(t, client)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Poll(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, talos.Timeout)

		n.put(t, 0, batch.None, "x")
		require.Equal(t, []string{"x"}, poll(t, c), "it goes on")

		time.AfterFunc(time.Second, func() { require.NoError(t, c.Close()) })
		_, err = c.Poll(t.Context())
		require.ErrorIs(t, err, talos.Closed)
		_, err = c.Poll(t.Context())
		require.ErrorIs(t, err, talos.Closed)

		c = consumer(t, client)
		require.NoError(t, client.Close())
		_, err = c.Poll(t.Context())
		require.ErrorIs(t, err, talos.Closed, "with the client, too")
	})
}

// Poll asks for so many bytes, and returns about as many; a batch that is larger
// comes as a whole.
func TestPollBytes(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		for i := range 10 {
			n.put(t, 0, batch.None, numbered(i), numbered(i)) // about 100 bytes
		}
		c := consumer(t, client, sdk.ConsumerPollBytes(250))
		var got []string
		for len(got) < 20 {
			some := poll(t, c)
			require.LessOrEqual(t, len(some), 4)
			got = append(got, some...)
		}
		require.EqualValues(t, 250, n.fetches[0].GetMaxBytes())
		require.Equal(t, numbered(9), got[19])

		all := consumer(t, client)
		require.Len(t, poll(t, all), 20)

		c = consumer(t, client, sdk.ConsumerPollBytes(1))
		require.Len(t, poll(t, c), 2)
	})
}

// One batch of some bytes may become very many messages: a Poll stops behind it.
func TestPollCountsWhatIsDecompressed(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		for range 3 {
			n.put(t, 0, batch.Zstd, make([]string, 5000)...)
		}
		c := consumer(t, client, sdk.ConsumerPollBytes(100_000))
		require.Len(t, poll(t, c), 5000)
		require.Len(t, poll(t, c), 5000)
	})
	require.Len(t, n.fetches, 1, "the rest is kept, not fetched again")
}

func TestOffsetOutOfRange(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, batch.None, "0", "1")
		c := consumer(t, client, sdk.ConsumerStart(sdk.At(3)))
		for range 2 {
			_, err := c.Poll(t.Context())
			require.ErrorIs(t, err, talos.OffsetOutOfRange)
			var bad *sdk.PartitionError
			require.ErrorAs(t, err, &bad)
			require.Zero(t, bad.Partition)
			var e *talos.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, &talos.OffsetRange{Start: 0, End: 2}, e.Range)
			require.Equal(t, "sdk.Poll logs/0: there is no record at this offset: offsets 0 to 1 exist", err.Error())
		}
		require.NoError(t, c.Seek(0, 1))
		require.Equal(t, []string{"1"}, poll(t, c))
	})
}

func TestSeek(t *testing.T) {
	n := newNode(2)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, batch.None, "0", "1")
		c := consumer(t, client, sdk.ConsumerPartitions(0, 0))
		require.Equal(t, []int32{0}, c.Partitions(), "each once")
		require.Equal(t, []string{"0", "1"}, poll(t, c))
		require.NoError(t, c.Seek(0, 1))
		require.Equal(t, []string{"1"}, poll(t, c))
		require.ErrorIs(t, c.Seek(1, 0), talos.UnknownPartition)
		require.ErrorIs(t, c.Seek(0, -1), talos.InvalidRequest)
		require.EqualValues(t, -1, c.Position(1))
		require.EqualValues(t, -1, c.End(1))
	})
}

// What passes by itself is not seen, neither of a whole call nor of a partition.
func TestPollTriesAgain(t *testing.T) {
	n := newNode(2)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		c := consumer(t, client)
		n.put(t, 0, batch.None, "a")
		n.put(t, 1, batch.None, "b")
		n.mu.Lock()
		n.fetchFaults = []error{talos.Unavailable, talos.NotServing}
		n.partitionFaults[0] = []error{talos.NotServing, &talos.Error{Kind: talos.NotOwner, Owner: &talos.Owner{Epoch: 12}}}
		n.mu.Unlock()
		require.Equal(t, []string{"b"}, poll(t, c), "the other partition does not wait for it")
		require.Equal(t, []string{"a"}, poll(t, c))
		last := n.fetches[len(n.fetches)-1]
		i := slices.IndexFunc(last.GetPartitions(), func(p *talosv1.FetchPartition) bool { return p.GetPartition() == 0 })
		require.EqualValues(t, 12, last.GetPartitions()[i].GetEpoch(), "the highest epoch that was seen")
	})
}

func TestPollLivesThroughLostConnections(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		c := consumer(t, client)
		time.AfterFunc(time.Second, func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.cutLocked()
		})
		time.AfterFunc(2*time.Second, func() { n.put(t, 0, batch.None, "x") })
		require.Equal(t, []string{"x"}, poll(t, c))
	})
}

// If the context ends while it tries, the error says why it had to.
func TestPollSaysWhatItTried(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		c := consumer(t, client)
		for range 1000 {
			n.fetchFaults = append(n.fetchFaults, talos.StoreUnavailable)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := c.Poll(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, talos.StoreUnavailable)
		require.Less(t, len(n.fetchFaults), 1000-5)
		require.Greater(t, len(n.fetchFaults), 1000-50, "with a delay that grows")
	})
}

func TestPollReturnsWhatLasts(t *testing.T) {
	n := newNode(2)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		c := consumer(t, client)
		n.put(t, 1, batch.None, "b")
		n.partitionFaults[0] = []error{talos.CorruptSegment}
		_, err := c.Poll(t.Context())
		require.ErrorIs(t, err, talos.CorruptSegment)
		require.ErrorContains(t, err, "logs/0")
		require.Equal(t, []string{"b"}, poll(t, c), "the other partition's records are not lost")

		n.fetchFaults = []error{talos.InvalidRequest}
		_, err = c.Poll(t.Context())
		require.ErrorIs(t, err, talos.InvalidRequest)
	})
}

// Each Poll tries the batch again, until the consumer seeks behind it. The
// records before it come first.
func TestUndecodableBatch(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, batch.None, "0", "1")
		n.put(t, 0, batch.None, "2", "3", "4")
		n.put(t, 0, batch.None, "5")
		n.partitions[0].batches[1][batch.HeaderSize] ^= 1
		c := consumer(t, client)
		require.Equal(t, []string{"0", "1"}, poll(t, c))
		var bad *sdk.BatchError
		for range 3 {
			_, err := c.Poll(t.Context())
			require.ErrorAs(t, err, &bad)
			require.ErrorIs(t, err, talos.UndecodableBatch)
			require.Equal(t, "sdk.Poll logs/0: a record batch can't be decoded: at offset 2: "+
				"the checksum does not match (seek to offset 5 to leave it out)", err.Error())
			require.Equal(t, []talos.Offset{2, 5}, []talos.Offset{bad.Base, bad.Next})
			require.EqualValues(t, 2, c.Position(0))
		}
		require.NoError(t, c.Seek(bad.Partition, bad.Next))
		require.Equal(t, []string{"5"}, poll(t, c))
	})
}

// What was damaged on its way only is fetched again.
func TestABatchThatWasDamagedOnItsWay(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, batch.None, "0")
		n.partitions[0].batches[0][batch.HeaderSize] ^= 1
		c := consumer(t, client)
		_, err := c.Poll(t.Context())
		require.ErrorIs(t, err, talos.UndecodableBatch)
		n.partitions[0].batches[0][batch.HeaderSize] ^= 1
		require.Equal(t, []string{"0"}, poll(t, c))
	})
}

// An answer that holds no batch, or the wrong one, is an error and no endless loop.
func TestMalformedFetches(t *testing.T) {
	for name, spoil := range map[string]func(b []byte){
		"another magic": func(b []byte) { b[16] = 1 },
		"a batch from below": func(b []byte) {
			batch.Place(b, -5, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(1)
			consuming(t, n, func(t *testing.T, client *sdk.Client) {
				n.put(t, 0, batch.None, "0")
				c := consumer(t, client)
				n.spoil = spoil
				_, err := c.Poll(t.Context())
				require.ErrorIs(t, err, talos.UndecodableBatch)
				require.ErrorContains(t, err, "logs/0")
			})
		})
	}
}

func TestPartitionsTakeTurns(t *testing.T) {
	n := newNode(3)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		for i := range 10 {
			for p := range int32(3) {
				n.put(t, p, batch.None, fmt.Sprint(p, i))
			}
		}
		c := consumer(t, client, sdk.ConsumerPollBytes(1))
		count := make(map[int32]int)
		for range 9 {
			messages, err := c.Poll(t.Context())
			require.NoError(t, err)
			count[messages[0].Partition] += len(messages)
		}
		require.Equal(t, map[int32]int{0: 3, 1: 3, 2: 3}, count)
	})
}

// More partitions than one request may name.
func TestManyPartitions(t *testing.T) {
	n := newNode(1203)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		for _, p := range []int32{0, 600, 1202} {
			n.put(t, p, batch.None, fmt.Sprint(p))
		}
		c := consumer(t, client)
		require.EqualValues(t, 1, c.End(1202))
		var got []string
		for range 3 {
			got = append(got, poll(t, c)...)
		}
		require.ElementsMatch(t, []string{"0", "600", "1202"}, got)
	})
	for _, f := range n.fetches {
		require.LessOrEqual(t, len(f.GetPartitions()), talos.MaxRequestPartitions)
	}
}

func TestNewConsumerRefuses(t *testing.T) {
	n := newNode(2)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		for _, c := range []struct {
			kind talos.Kind
			says string
			opt  sdk.ConsumerOpt
		}{
			{talos.UnknownPartition, "logs/2: the topic has no such partition: the topic has 2", sdk.ConsumerPartitions(0, 2)},
			{talos.UnknownPartition, "logs/-1", sdk.ConsumerPartitions(-1)},
			{talos.InvalidConfig, "offset -1 is negative", sdk.ConsumerStart(sdk.At(-1))},
			{talos.InvalidConfig, "poll bytes: 0", sdk.ConsumerPollBytes(0)},
			{talos.InvalidConfig, "poll bytes: 16777217", sdk.ConsumerPollBytes(talos.MaxFetchBytes + 1)},
		} {
			_, err := client.NewConsumer(t.Context(), "logs", c.opt)
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.says)
		}
		_, err := client.NewConsumer(t.Context(), "others")
		require.ErrorIs(t, err, talos.UnknownTopic)
		require.Equal(t, codes.Unknown, status.Code(err), "no error of gRPC comes out")
	})
}

func TestNewConsumerWaitsForThePartitionsToOpen(t *testing.T) {
	n := newNode(2)
	n.listFaults = []error{talos.NotServing}
	n.partitionFaults[1] = []error{talos.NotServing, talos.NotServing}
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		require.Equal(t, []int32{0, 1}, consumer(t, client).Partitions())
	})
}
