package sdk_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// sendFive sends five records that become a batch each, all in flight at a time.
func sendFive(t *testing.T, p *sdk.Producer) *results {
	done := new(results)
	for i := range 5 {
		done.send(t, p, 0, numbered(i))
		synctest.Wait()
	}
	return done
}

// holding delays the answer to the first batch, so that the others are in flight
// when its fault comes.
func holding(hold <-chan struct{}, faults map[int]fault) func(int, batch.Header) fault {
	return func(i int, _ batch.Header) fault {
		f := faults[i]
		if i == 0 {
			f.hold = hold
		}
		return f
	}
}

// Whatever passes by itself, at the first batch or in the middle, alone or twice:
// the records come out once and in order, and nobody sees an error.
func TestRetryableErrorsAreNotSeen(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults map[int]fault
	}{
		{"queue full at the first", map[int]fault{0: {err: talos.QueueFull}}},
		{"queue full in the middle", map[int]fault{2: {err: talos.QueueFull}}},
		{"not serving, twice", map[int]fault{0: {err: talos.NotServing}, 5: {err: talos.NotServing}}},
		{"corrupt on its way", map[int]fault{1: {err: talos.CorruptBatch}}},
		{"store away", map[int]fault{1: {err: talos.StoreUnavailable}}},
		{"store away, but stored", map[int]fault{1: {store: talos.StoreUnavailable}}},
		{"not the owner", map[int]fault{3: {err: &talos.Error{Kind: talos.NotOwner, Owner: &talos.Owner{Address: "x:1", Epoch: 9}}}}},
		{"timeout, but stored", map[int]fault{4: {store: talos.Timeout}}},
		{"a kind that this client does not know", map[int]fault{1: {forge: unknownRetryable()}}},
		{"stream lost before", map[int]fault{2: {lose: errGone}}},
		{"stream lost behind", map[int]fault{2: {mute: true}}},
		{"connection cut", map[int]fault{1: {cut: true}}},
		{"stream lost and again at once", map[int]fault{0: {mute: true}, 1: {lose: errGone}, 2: {mute: true}}},
		{"refused, then lost", map[int]fault{0: {err: talos.QueueFull}, 5: {mute: true}}},
		{"forgotten before anything was stored", map[int]fault{0: {err: talos.UnknownProducer}}},
		{"forgotten in the middle", map[int]fault{2: {forget: true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(1)
			producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
				hold := make(chan struct{})
				n.each(holding(hold, c.faults))
				done := sendFive(t, p)
				close(hold)
				require.NoError(t, p.Flush(t.Context()))
				for i, r := range done.all() {
					require.NoError(t, r.err)
					require.Equal(t, numbered(i), r.value)
					require.EqualValues(t, i, r.delivery.Offset)
				}
				require.Len(t, n.stored(t, 0), 5)
			})
		})
	}
}

// A batch that is sent again is the same to the byte, or it would not be known
// as the same.
func TestBatchesAreSentAgainByteForByte(t *testing.T) {
	n := newNode(1)
	n.script = at(map[int]fault{0: {mute: true}, 2: {err: talos.QueueFull}, 4: {lose: errGone}})
	producing(t, n, []sdk.ProducerOpt{sdk.ProducerCodec(batch.Zstd)}, func(t *testing.T, p *sdk.Producer) {
		for i := range 5 {
			_, err := p.SendSync(t.Context(), 0, value(numbered(i)))
			require.NoError(t, err)
		}
	})
	bytesOf := make(map[int32][]byte)
	again := 0
	for _, a := range n.arrivals {
		if before, ok := bytesOf[a.FirstSequence]; ok {
			require.Equal(t, before, a.bytes)
			again++
		}
		bytesOf[a.FirstSequence] = a.bytes
	}
	require.Equal(t, 3, again)
	require.Len(t, n.stored(t, 0), 5)
}

func TestDuplicatesAreTold(t *testing.T) {
	n := newNode(1)
	n.script = at(map[int]fault{0: {mute: true}})
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		d, err := p.SendSync(t.Context(), 0, value("x"))
		require.NoError(t, err)
		require.True(t, d.Duplicate)
		d, err = p.SendSync(t.Context(), 0, value("y"))
		require.NoError(t, err)
		require.False(t, d.Duplicate)
	})
}

// What a node refuses for good fails, with what was in flight behind it; later
// records go on under a new producer id.
func TestRefusedForGood(t *testing.T) {
	for _, c := range []struct {
		kind talos.Kind
		says string
	}{
		{talos.InvalidBatch, "it was not stored"},
		{talos.BatchTooLarge, "it was not stored"},
		{talos.RecordTooLarge, "it was not stored"},
		{talos.CorruptSegment, "whether it was stored is unknown"},
		{talos.Internal, "whether it was stored is unknown"},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			n := newNode(1)
			producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
				hold := make(chan struct{})
				n.each(holding(hold, map[int]fault{1: {err: &talos.Error{Kind: c.kind, Detail: "so it is"}}}))
				done := sendFive(t, p)
				close(hold)
				require.ErrorIs(t, p.Flush(t.Context()), c.kind)
				got := done.all()
				require.NoError(t, got[0].err)
				require.ErrorContains(t, got[1].err, "so it is; "+c.says)
				require.ErrorContains(t, got[1].err, "logs/0")
				for _, r := range got[2:] {
					require.ErrorIs(t, r.err, c.kind)
					require.ErrorContains(t, r.err, "whether it was stored is unknown")
					require.Zero(t, r.delivery)
				}
				d, err := p.SendSync(t.Context(), 0, value("later"))
				require.NoError(t, err)
				require.EqualValues(t, 1, d.Offset)
				last := n.seen()[len(n.seen())-1]
				require.EqualValues(t, 2, last.ProducerID)
				require.Zero(t, last.FirstSequence)
			})
			require.Equal(t, []string{"record 0", "later"}, n.stored(t, 0))
		})
	}
}

// A batch before the one that is refused may still be waiting to be sent again:
// it keeps its id and its place.
func TestRefusedBehindOneThatIsRetried(t *testing.T) {
	n := newNode(1)
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		hold := make(chan struct{})
		n.each(holding(hold, map[int]fault{0: {err: talos.QueueFull}, 2: {err: talos.InvalidBatch}}))
		done := sendFive(t, p)
		close(hold)
		require.ErrorIs(t, p.Flush(t.Context()), talos.InvalidBatch)
		got := done.all()
		require.NoError(t, got[0].err)
		require.NoError(t, got[1].err)
		require.Error(t, got[2].err)
		_, err := p.SendSync(t.Context(), 0, value("later"))
		require.NoError(t, err)
	})
	require.Equal(t, []string{"record 0", "record 1", "later"}, n.stored(t, 0))
}

// The id is fetched again until there is one.
func TestANewProducerIDIsWaitedFor(t *testing.T) {
	n := newNode(1)
	n.script = at(map[int]fault{0: {err: talos.InvalidBatch}})
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		n.mu.Lock()
		n.initFaults = []error{talos.MetaUnavailable, talos.Internal}
		n.mu.Unlock()
		_, err := p.SendSync(t.Context(), 0, value("bad"))
		require.ErrorIs(t, err, talos.InvalidBatch)
		_, err = p.SendSync(t.Context(), 0, value("good"))
		require.NoError(t, err)
	})
}

// If an attempt without an answer came before, a forgotten producer means that
// nobody can tell.
func TestForgottenAfterAnAttemptWithoutAnswer(t *testing.T) {
	n := newNode(1)
	n.script = at(map[int]fault{1: {mute: true}, 2: {forget: true}})
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		_, err := p.SendSync(t.Context(), 0, value("first"))
		require.NoError(t, err)
		_, err = p.SendSync(t.Context(), 0, value("stored, without an answer"))
		require.ErrorIs(t, err, talos.UnknownProducer)
		require.ErrorContains(t, err, "whether it was stored is unknown")
		d, err := p.SendSync(t.Context(), 0, value("later"))
		require.NoError(t, err)
		require.EqualValues(t, 2, d.Offset)
	})
}

// What was queued behind such batches goes on at once: no other event would wake
// the lane before the next look for the partitions.
func TestForgottenWithAQueueBehind(t *testing.T) {
	n := newNode(1)
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		_, err := p.SendSync(t.Context(), 0, value("first"))
		require.NoError(t, err)
		hold, answer := make(chan struct{}), make(chan struct{})
		n.each(at(map[int]fault{1: {hold: hold, mute: true}, 2: {hold: answer, forget: true}}))
		done := sendFive(t, p)
		for _, v := range []string{"queued", "and another"} {
			done.send(t, p, 0, v)
			synctest.Wait()
		}
		start := time.Now()
		close(hold)
		// By then the looks that follow the broken stream are over.
		time.AfterFunc(time.Second, func() { close(answer) })
		require.ErrorIs(t, p.Flush(t.Context()), talos.UnknownProducer)
		require.Less(t, time.Since(start), 2*time.Second)
		got := done.all()
		require.Len(t, got, 7)
		for _, r := range got[:5] {
			require.ErrorContains(t, r.err, "whether it was stored is unknown")
		}
		require.NoError(t, got[5].err)
		require.NoError(t, got[6].err)
	})
	require.Equal(t, []string{"first", "record 0", "queued", "and another"}, n.stored(t, 0))
}

func TestStoredTooLongAgoToKnow(t *testing.T) {
	n := newNode(1)
	n.script = at(map[int]fault{0: {store: talos.DuplicateSequence}})
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		d, err := p.SendSync(t.Context(), 0, value("x"))
		require.ErrorIs(t, err, talos.DuplicateSequence)
		require.ErrorContains(t, err, "the record is stored")
		require.Zero(t, d)
		d, err = p.SendSync(t.Context(), 0, value("y"))
		require.NoError(t, err, "the sequence has no hole")
		require.EqualValues(t, 1, d.Offset)
		require.EqualValues(t, 1, n.seen()[1].FirstSequence)
	})
}

// Some errors end the producer: whatever it has fails, and it takes no more.
func TestFatalErrors(t *testing.T) {
	for _, kind := range []talos.Kind{talos.ProducerFenced, talos.OutOfOrderSequence} {
		t.Run(string(kind), func(t *testing.T) {
			n := newNode(2)
			producing(t, n, []sdk.ProducerOpt{sdk.ProducerMaxInFlight(1)}, func(t *testing.T, p *sdk.Producer) {
				hold := make(chan struct{})
				n.each(holding(hold, map[int]fault{0: {err: kind}}))
				var done results
				done.send(t, p, 0, "refused")
				synctest.Wait()
				done.send(t, p, 0, "waits behind")
				done.send(t, p, 1, "another partition")
				synctest.Wait()
				close(hold)
				require.ErrorIs(t, p.Flush(t.Context()), kind)
				got := done.all()
				require.Len(t, got, 3)
				for _, r := range got {
					require.ErrorIs(t, r.err, kind)
				}
				require.ErrorContains(t, got[0].err, "it was not stored")
				require.ErrorContains(t, got[1].err, "it was not sent")
				require.ErrorContains(t, got[2].err, "whether it was stored is unknown")
				require.ErrorIs(t, p.Send(t.Context(), 0, value("more"), nil), kind)
				require.NoError(t, p.Close(t.Context()))
			})
		})
	}
}

// That a topic is gone is believed when metadata says so, too.
func TestADeletedTopicEndsTheProducer(t *testing.T) {
	n := newNode(2)
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		n.deleteTopic()
		n.each(func(int, batch.Header) fault { return fault{err: talos.UnknownTopic} })
		var done results
		done.send(t, p, 0, "a")
		done.send(t, p, 1, "b")
		require.ErrorIs(t, p.Flush(t.Context()), talos.UnknownTopic)
		require.ErrorContains(t, done.all()[0].err, "it was not stored")
		require.ErrorIs(t, done.all()[1].err, talos.UnknownTopic)
		require.ErrorIs(t, p.Send(t.Context(), 0, value("more"), nil), talos.UnknownTopic)
	})
}

// A node that is behind does not know a topic or a partition yet.
func TestANodeThatIsBehind(t *testing.T) {
	n := newNode(1)
	n.script = at(map[int]fault{0: {err: talos.UnknownTopic}, 1: {err: talos.UnknownPartition}})
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		d, err := p.SendSync(t.Context(), 0, value("x"))
		require.NoError(t, err)
		require.Zero(t, d.Offset)
	})
}

func TestDeliveryTimeoutOfABatchInFlight(t *testing.T) {
	n := newNode(1)
	opts := []sdk.ProducerOpt{sdk.ProducerDeliveryTimeout(10 * time.Second), sdk.ProducerMaxInFlight(2)}
	producing(t, n, opts, func(t *testing.T, p *sdk.Producer) {
		hold := make(chan struct{})
		n.each(at(map[int]fault{1: {hold: hold}}))
		_, err := p.SendSync(t.Context(), 0, value("first"))
		require.NoError(t, err)
		var done results
		start := time.Now()
		done.send(t, p, 0, "without an answer")
		synctest.Wait()
		require.ErrorIs(t, p.Flush(t.Context()), talos.Timeout)
		require.Equal(t, 10*time.Second, time.Since(start))
		err = done.all()[0].err
		require.ErrorContains(t, err, "not acknowledged within 10s; whether it was stored is unknown")

		done.send(t, p, 0, "later")
		synctest.Wait()
		close(hold)
		require.NoError(t, p.Flush(t.Context()))
	})
	require.Equal(t, []string{"first", "without an answer", "later"}, n.stored(t, 0))
	require.NotEqual(t, n.arrivals[1].ProducerID, n.arrivals[2].ProducerID)
}

// Without a node nothing is sent, and the error says so, and why.
func TestDeliveryTimeoutWithoutANode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(1)
		listener := bufconn.Listen(1 << 20)
		stop := n.listen(listener)
		dial := listener.DialContext
		client := n.dial(t, func(ctx context.Context) (net.Conn, error) { return dial(ctx) })
		defer func() { require.NoError(t, client.Close()) }()
		p, err := client.NewProducer(t.Context(), "logs", sdk.ProducerDeliveryTimeout(10*time.Second))
		require.NoError(t, err)
		stop()
		synctest.Wait()
		_, err = p.SendSync(t.Context(), 0, value("x"))
		require.ErrorIs(t, err, talos.Timeout)
		require.ErrorIs(t, err, talos.Unavailable, "the reason behind it")
		require.ErrorContains(t, err, "it was not sent")

		// It comes back, and so does the producer.
		listener = bufconn.Listen(1 << 20)
		dial = listener.DialContext
		defer n.listen(listener)()
		_, err = p.SendSync(t.Context(), 0, value("y"))
		require.NoError(t, err)
		require.Equal(t, []string{"y"}, n.stored(t, 0))
	})
}

// A stream that the node refuses as such is not tried again for ever.
func TestAStreamThatIsRefused(t *testing.T) {
	n := newNode(1)
	n.script = at(map[int]fault{0: {lose: whole(&talos.Error{Kind: talos.InvalidRequest, Detail: "not like this"})}})
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		_, err := p.SendSync(t.Context(), 0, value("x"))
		require.ErrorIs(t, err, talos.InvalidRequest)
		require.ErrorContains(t, err, "not like this")
	})
}

func TestUnreachable(t *testing.T) {
	client, err := sdk.Dial("node:7070", sdk.WithDialer(func(context.Context, string) (net.Conn, error) {
		return nil, errors.New("nobody is there")
	}))
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	_, err = client.NewProducer(t.Context(), "logs")
	require.ErrorIs(t, err, talos.Unavailable)
	require.ErrorContains(t, err, "nobody is there")
	_, err = client.NewConsumer(t.Context(), "logs")
	require.ErrorIs(t, err, talos.Unavailable)
	_, err = client.Topics(t.Context())
	require.ErrorIs(t, err, talos.Unavailable)
	require.Equal(t, codes.Unknown, status.Code(err), "no error of gRPC comes out")
}
