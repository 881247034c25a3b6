package sdk_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// results collects what records were done with, in the order of the calls.
type results struct {
	mu   sync.Mutex
	list []result
}

type result struct {
	value    string
	delivery sdk.Delivery
	err      error
}

func (r *results) send(t require.TestingT, p *sdk.Producer, partition int32, v string) {
	require.NoError(t, p.Send(context.Background(), partition, value(v), func(d sdk.Delivery, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.list = append(r.list, result{v, d, err})
	}))
}

func (r *results) all() []result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]result(nil), r.list...)
}

// producing runs a test in virtual time, with a node and a producer of it that
// are closed afterwards.
func producing(t *testing.T, n *node, opts []sdk.ProducerOpt, test func(t *testing.T, p *sdk.Producer)) {
	synctest.Test(t, func(t *testing.T) {
		client, stop := n.serve(t)
		defer stop()
		p, err := client.NewProducer(t.Context(), "logs", opts...)
		require.NoError(t, err)
		test(t, p)
	})
}

func TestSendSync(t *testing.T) {
	n := newNode(2)
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		require.EqualValues(t, 2, p.Partitions())
		for i, want := range []talos.Offset{0, 1, 2} {
			d, err := p.SendSync(t.Context(), 1, value(numbered(i)))
			require.NoError(t, err)
			require.Positive(t, d.Epoch)
			require.Equal(t, sdk.Delivery{Partition: 1, Offset: want, Epoch: d.Epoch, Time: noon}, d)
		}
		require.NoError(t, p.Close(t.Context()))
	})
	require.Empty(t, n.stored(t, 0))
	require.Equal(t, []string{"record 0", "record 1", "record 2"}, n.stored(t, 1))
	require.Equal(t, []int32{0, 3, 3}, []int32{n.arrivals[0].epoch, n.arrivals[1].epoch, n.arrivals[2].epoch},
		"a request carries the highest epoch that was seen")
}

// A record's time is the application's, or that of Send.
func TestTimestamps(t *testing.T) {
	n := newNode(1)
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		own := value("own")
		own.Timestamp = noon
		_, err := p.SendSync(t.Context(), 0, own)
		require.NoError(t, err)
		require.Equal(t, noon.UnixMilli(), n.seen()[0].BaseTimestamp)

		taken := time.Now().UnixMilli()
		_, err = p.SendSync(t.Context(), 0, value("none"))
		require.NoError(t, err)
		require.Equal(t, taken, n.seen()[1].BaseTimestamp)
	})
}

// Up to the limit of batches in flight a record goes at once; then records
// gather, and go together.
func TestRecordsGatherWhileBatchesAreInFlight(t *testing.T) {
	for _, inFlight := range []int{1, 3, 5} {
		n := newNode(1)
		producing(t, n, []sdk.ProducerOpt{sdk.ProducerMaxInFlight(inFlight)}, func(t *testing.T, p *sdk.Producer) {
			hold := make(chan struct{})
			n.each(func(int, batch.Header) fault { return fault{hold: hold} })
			var done results
			for i := range inFlight + 10 {
				done.send(t, p, 0, numbered(i))
				synctest.Wait()
			}
			close(hold)
			require.NoError(t, p.Flush(t.Context()))
			seen := n.seen()
			require.Len(t, seen, inFlight+1)
			for _, a := range seen[:inFlight] {
				require.EqualValues(t, 1, a.Records)
			}
			require.EqualValues(t, 10, seen[inFlight].Records)
			for i, r := range done.all() {
				require.Equal(t, numbered(i), r.value)
				require.EqualValues(t, i, r.delivery.Offset)
			}
		})
	}
}

func TestBatchesStayBelowTheNodesLimit(t *testing.T) {
	for codec := batch.None; codec.Known(); codec++ {
		n := newNode(1)
		n.limits = talos.Limits{RecordBytes: 40_000}
		producing(t, n, []sdk.ProducerOpt{sdk.ProducerMaxInFlight(1), sdk.ProducerCodec(codec)}, func(t *testing.T, p *sdk.Producer) {
			hold := make(chan struct{})
			n.each(at(map[int]fault{0: {hold: hold}}))
			var done results
			large := strings.Repeat("x", 39_000)
			for range 11 {
				done.send(t, p, 0, large)
				synctest.Wait()
			}
			close(hold)
			require.NoError(t, p.Flush(t.Context()))
			require.Len(t, n.seen(), 6, "1, and then 2 each")
			require.Equal(t, codec, n.seen()[1].Codec())
			require.Len(t, n.stored(t, 0), 11)
		})
	}
}

func TestSendRefuses(t *testing.T) {
	n := newNode(2)
	n.limits = talos.Limits{RecordBytes: 1000}
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		never := func(sdk.Delivery, error) { t.Error("done was called for a record that was not taken") }
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		for _, c := range []struct {
			name      string
			ctx       context.Context
			partition int32
			size      int
			kind      talos.Kind
		}{
			{"partition -2", t.Context(), -2, 1, talos.UnknownPartition},
			{"partition 2 of 2", t.Context(), 2, 1, talos.UnknownPartition},
			{"too large", t.Context(), 0, 1001, talos.RecordTooLarge},
			{"canceled", canceled, 0, 1, talos.Canceled},
		} {
			err := p.Send(c.ctx, c.partition, value(strings.Repeat("x", c.size)), never)
			require.ErrorIs(t, err, c.kind, c.name)
		}
		require.NoError(t, p.Send(t.Context(), 0, value(strings.Repeat("x", 1000)), nil), "just at the limit")
		require.NoError(t, p.Close(t.Context()))
		require.NoError(t, p.Close(t.Context()), "closed twice")
		require.ErrorIs(t, p.Send(t.Context(), 0, value("x"), never), talos.Closed)
	})
	require.Len(t, n.stored(t, 0), 1)
}

func TestSendWaitsWhileTheBufferIsFull(t *testing.T) {
	n := newNode(1)
	n.limits = talos.Limits{RecordBytes: 10_000}
	size := n.limits.BatchBytes()
	producing(t, n, []sdk.ProducerOpt{sdk.ProducerBufferBytes(size)}, func(t *testing.T, p *sdk.Producer) {
		hold := make(chan struct{})
		n.each(func(int, batch.Header) fault { return fault{hold: hold} })
		var done results
		taken := 0
		full := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return p.Send(ctx, 0, value(strings.Repeat("x", 9_000)), func(_ sdk.Delivery, err error) {
				require.NoError(t, err)
			})
		}
		var err error
		for err = full(); err == nil; err = full() {
			taken++
		}
		require.Equal(t, size/9_300, taken, "what fits into the buffer")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, talos.Timeout)
		require.ErrorContains(t, err, "the producer's own buffer")

		waiting := make(chan error, 1)
		go func() { waiting <- p.Send(context.Background(), 0, value(strings.Repeat("y", 9_000)), nil) }()
		synctest.Wait()
		require.Empty(t, waiting, "it waits")
		close(hold)
		require.NoError(t, <-waiting, "room was made")
		done.send(t, p, 0, "and on")
		require.NoError(t, p.Flush(t.Context()))
		require.Len(t, n.stored(t, 0), taken+2)
	})
}

func TestCloseWakesASendThatWaits(t *testing.T) {
	n := newNode(1)
	n.limits = talos.Limits{RecordBytes: 60_000}
	producing(t, n, []sdk.ProducerOpt{sdk.ProducerBufferBytes(n.limits.BatchBytes())}, func(t *testing.T, p *sdk.Producer) {
		hold := make(chan struct{})
		n.each(func(int, batch.Header) fault { return fault{hold: hold} })
		large := value(strings.Repeat("x", 60_000))
		require.NoError(t, p.Send(t.Context(), 0, large, nil))
		require.NoError(t, p.Send(t.Context(), 0, large, nil))
		waiting, closed := make(chan error, 1), make(chan error, 1)
		go func() { waiting <- p.Send(context.Background(), 0, large, nil) }()
		synctest.Wait()
		go func() { closed <- p.Close(context.Background()) }()
		require.ErrorIs(t, <-waiting, talos.Closed)
		close(hold)
		require.NoError(t, <-closed, "what was taken is flushed")
		require.Len(t, n.stored(t, 0), 2)
	})
}

func TestFlushTellsTheFirstErrorOnce(t *testing.T) {
	n := newNode(1)
	n.script = at(map[int]fault{1: {err: talos.InvalidBatch}})
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		var done results
		require.NoError(t, p.Flush(t.Context()), "nothing was sent")
		done.send(t, p, 0, "good")
		require.NoError(t, p.Flush(t.Context()))
		done.send(t, p, 0, "bad")
		require.ErrorIs(t, p.Flush(t.Context()), talos.InvalidBatch)
		done.send(t, p, 0, "good again")
		require.NoError(t, p.Flush(t.Context()))
	})
}

// An error that a Flush did not wait for is not lost.
func TestFlushTellsWhatAnEarlierOneMissed(t *testing.T) {
	n := newNode(1)
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		hold := make(chan struct{})
		n.each(at(map[int]fault{0: {hold: hold, err: talos.InvalidBatch}}))
		var done results
		done.send(t, p, 0, "bad")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, p.Flush(ctx), context.DeadlineExceeded)
		close(hold)
		require.ErrorIs(t, p.Flush(t.Context()), talos.InvalidBatch)
		require.NoError(t, p.Flush(t.Context()))
	})
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	n := newNode(1)
	producing(t, n, []sdk.ProducerOpt{sdk.ProducerMaxInFlight(1)}, func(t *testing.T, p *sdk.Producer) {
		hold := make(chan struct{})
		n.each(func(int, batch.Header) fault { return fault{hold: hold} })
		defer close(hold)
		var done results
		done.send(t, p, 0, "in flight")
		synctest.Wait()
		done.send(t, p, 0, "waiting")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, p.Close(ctx), context.DeadlineExceeded)
		got := done.all()
		require.Len(t, got, 2)
		require.ErrorIs(t, got[0].err, talos.Closed)
		require.ErrorContains(t, got[0].err, "whether it was stored is unknown")
		require.ErrorIs(t, got[1].err, talos.Closed)
		require.ErrorContains(t, got[1].err, "it was not sent")
	})
}

func TestClientCloseEndsItsProducers(t *testing.T) {
	n := newNode(1)
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		n.each(func(int, batch.Header) fault { return fault{hold: hold} })
		client, stop := n.serve(t)
		defer stop()
		defer close(hold)
		p, err := client.NewProducer(t.Context(), "logs")
		require.NoError(t, err)
		var done results
		done.send(t, p, 0, "x")
		synctest.Wait()
		require.NoError(t, client.Close())
		require.ErrorIs(t, done.all()[0].err, talos.Closed)
		require.ErrorIs(t, p.Send(t.Context(), 0, value("y"), nil), talos.Closed)
		require.NoError(t, p.Close(t.Context()))
		_, err = client.NewProducer(t.Context(), "logs")
		require.ErrorIs(t, err, talos.Closed)
	})
}

func TestSendSyncSaysThatTheOutcomeIsUnknown(t *testing.T) {
	n := newNode(1)
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		hold := make(chan struct{})
		n.each(at(map[int]fault{0: {hold: hold}}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.SendSync(ctx, 0, value("x"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "whether it was stored is unknown")
		close(hold)
		require.NoError(t, p.Flush(t.Context()), "it goes on all the same")
	})
}

func TestNewProducerRefuses(t *testing.T) {
	n := newNode(1)
	synctest.Test(t, func(t *testing.T) {
		client, stop := n.serve(t)
		defer stop()
		for _, c := range []struct {
			says string
			opt  sdk.ProducerOpt
		}{
			{"unknown codec 9", sdk.ProducerCodec(9)},
			{"buffer: 100 bytes, the least is", sdk.ProducerBufferBytes(100)},
			{"-1s is not positive", sdk.ProducerDeliveryTimeout(-time.Second)},
			{"in flight: 0, want 1 to 5", sdk.ProducerMaxInFlight(0)},
			{"in flight: 6, want 1 to 5", sdk.ProducerMaxInFlight(6)},
		} {
			_, err := client.NewProducer(t.Context(), "logs", c.opt)
			require.ErrorIs(t, err, talos.InvalidConfig)
			require.ErrorContains(t, err, c.says)
		}
		_, err := client.NewProducer(t.Context(), "others")
		require.ErrorIs(t, err, talos.UnknownTopic)
	})
}

// While a node opens, NewProducer waits, but no longer than its context.
func TestNewProducerWaitsForTheNodeToServe(t *testing.T) {
	n := newNode(1)
	n.versionFaults = []error{talos.NotServing, talos.NotServing}
	n.initFaults = []error{talos.MetaUnavailable}
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		_, err := p.SendSync(t.Context(), 0, value("x"))
		require.NoError(t, err)
	})
	synctest.Test(t, func(t *testing.T) {
		for range 1000 {
			n.versionFaults = append(n.versionFaults, talos.NotServing)
		}
		client, stop := n.serve(t)
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := client.NewProducer(ctx, "logs")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, talos.NotServing, "it says what it waited for")
	})
}

// An answer that makes no sense is never a success.
func TestMalformedAnswers(t *testing.T) {
	for name, forged := range map[string]*talosv1.ProduceResponse{
		"nothing in it":   {},
		"negative offset": {Result: &talosv1.ProduceResponse_Appended{Appended: &talosv1.Appended{BaseOffset: -1}}},
	} {
		n := newNode(1)
		n.script = at(map[int]fault{0: {forge: forged}})
		producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
			_, err := p.SendSync(t.Context(), 0, value("x"))
			require.ErrorIs(t, err, talos.Internal, name)
			require.ErrorContains(t, err, "whether it was stored is unknown", name)
		})
	}
}
