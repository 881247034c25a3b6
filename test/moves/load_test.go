package moves_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/history"
	"github.com/talos-log/talos/test/load"
)

const (
	producers = 2
	// Each producer sends burst records every pace: 5,000 a second in all.
	pace  = 4 * time.Millisecond
	burst = 10
)

// traffic is producers that send at a pace, and a reader that follows.
type traffic struct {
	t       *testing.T
	history *history.History
	lines   [][]byte
	stop    context.CancelFunc
	senders sync.WaitGroup
	reader  *load.Reader
	follow  chan error
	unread  context.CancelFunc
	address string

	mu   sync.Mutex // guards the fields below
	acks map[int32][]time.Time
	errs []error
}

// startTraffic knows the cluster by one node's address.
func startTraffic(t *testing.T, address string) *traffic {
	t.Helper()
	lines, err := load.Lines("../..")
	require.NoError(t, err)
	tr := &traffic{t: t, history: history.New(), lines: lines, acks: make(map[int32][]time.Time), follow: make(chan error, 1), address: address}
	ctx, stop := context.WithCancel(context.Background())
	tr.stop = stop
	for number := range producers {
		client, err := sdk.Dial(address)
		require.NoError(t, err)
		producer, err := client.NewProducer(t.Context(), topicName)
		require.NoError(t, err)
		tr.senders.Go(func() {
			tr.send(ctx, number, producer)
			tr.failed(producer.Close(context.Background()))
			tr.failed(client.Close())
		})
	}
	tr.reader, err = load.OpenReader(t.Context(), address, topicName, tr.history, "follower")
	require.NoError(t, err)
	following, unread := context.WithCancel(context.Background())
	tr.unread = unread
	go func() { tr.follow <- tr.reader.Follow(following) }()
	return tr
}

func (tr *traffic) failed(err error) {
	if err == nil {
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.errs = append(tr.errs, err)
}

func (tr *traffic) send(ctx context.Context, number int, p *sdk.Producer) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for sequence := 0; ; {
		for range burst {
			id := history.ID{Producer: number, Sequence: sequence}
			sequence++
			r := load.Record(id, tr.lines)
			partition := int32((sequence + number) % int(p.Partitions()))
			tr.history.Send(id, partition, history.DigestOf(&r))
			// It waits while too much is under way, also when it is told to stop.
			tr.failed(p.Send(context.Background(), partition, r, func(d sdk.Delivery, err error) { tr.answered(id, d, err) }))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (tr *traffic) answered(id history.ID, d sdk.Delivery, err error) {
	if err != nil {
		tr.history.Failed(id, err)
		tr.failed(err)
		return
	}
	tr.history.Acked(id, history.Ack{Partition: d.Partition, Offset: d.Offset, Epoch: d.Epoch, Duplicate: d.Duplicate})
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.acks[d.Partition] = append(tr.acks[d.Partition], time.Now())
}

// awaitAcks waits for n more acknowledgements.
func (tr *traffic) awaitAcks(n int) {
	tr.t.Helper()
	since := tr.history.Now()
	require.Eventually(tr.t, func() bool { return tr.history.AckedOfSince(since) >= n }, patience, tick)
}

// pause is the longest time between two acknowledgements of a partition that
// overlaps a moment or what follows, up to another.
func (tr *traffic) pause(partition int32, from, to time.Time) time.Duration {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var longest time.Duration
	acks := tr.acks[partition]
	for i := 1; i < len(acks); i++ {
		if acks[i].After(from) && acks[i-1].Before(to) {
			longest = max(longest, acks[i].Sub(acks[i-1]))
		}
	}
	return longest
}

// askOffsets asks for the topic's offsets over and over, until stop is called. No
// answer may have an error, nor an end below one of before.
func (tr *traffic) askOffsets() (stop func()) {
	tr.t.Helper()
	client, err := sdk.Dial(tr.address)
	require.NoError(tr.t, err)
	done := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		ends := make(map[int32]talos.Offset)
		for {
			offsets, err := client.Offsets(context.Background(), topicName)
			tr.failed(err)
			for _, o := range offsets {
				tr.failed(o.Err)
				if o.Range.End < ends[o.Partition] {
					tr.failed(fmt.Errorf("partition %d ends at %d, and ended at %d before", o.Partition, o.Range.End, ends[o.Partition]))
				}
				ends[o.Partition] = o.Range.End
			}
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	return func() {
		close(done)
		asking.Wait()
		tr.failed(client.Close())
	}
}

// finish ends the traffic, and checks what everybody saw: no error, nothing lost,
// nothing twice, all in order.
func (tr *traffic) finish() {
	tr.t.Helper()
	tr.stop()
	tr.senders.Wait()
	require.Empty(tr.t, tr.errs)
	ends := tr.history.Ends()
	require.Eventually(tr.t, func() bool { return tr.reader.Reached(ends) || len(tr.follow) > 0 }, patience, tick)
	tr.unread()
	require.NoError(tr.t, <-tr.follow)
	require.NoError(tr.t, tr.reader.Close())
	ctx, cancel := context.WithTimeout(tr.t.Context(), patience)
	defer cancel()
	require.NoError(tr.t, load.ReadAll(ctx, tr.address, topicName, tr.history, "final"))
	anomalies := tr.history.Check("final")
	require.Empty(tr.t, anomalies, history.Report(anomalies))
}

// quantiles logs what a number of pauses were.
func quantiles(t *testing.T, what string, pauses []time.Duration) {
	t.Helper()
	if len(pauses) == 0 {
		return
	}
	slices.Sort(pauses)
	at := func(q float64) time.Duration {
		return pauses[min(len(pauses)-1, int(math.Ceil(q*float64(len(pauses))))-1)].Round(100 * time.Microsecond)
	}
	t.Logf("%s: %d; pause p50 %v, p90 %v, p99 %v, longest %v", what, len(pauses), at(0.5), at(0.9), at(0.99), pauses[len(pauses)-1])
}
