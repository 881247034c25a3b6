package loadgen

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// node stands for a sender and the node behind it: it answers each record after
// delay, and each one apart later than the one before.
type node struct {
	delay, apart time.Duration
	// refuse and fail say which records, by their number, Send does not take, or
	// done gets an error for.
	refuse, fail map[int]error
	stall        time.Duration // of each Send

	mu       sync.Mutex
	taken    int
	inFlight int
	most     int // records that were in flight at once
	values   [][]byte
	places   []int32
	pending  sync.WaitGroup
}

func (n *node) Send(_ context.Context, partition int32, value []byte, done func(error)) error {
	time.Sleep(n.stall)
	n.mu.Lock()
	defer n.mu.Unlock()
	number := n.taken
	n.taken++
	if err := n.refuse[number]; err != nil {
		return err
	}
	n.inFlight++
	n.most = max(n.most, n.inFlight)
	n.values = append(n.values, bytes.Clone(value))
	n.places = append(n.places, partition)
	n.pending.Add(1)
	time.AfterFunc(n.delay+time.Duration(number)*n.apart, func() {
		defer n.pending.Done()
		n.mu.Lock()
		defer n.mu.Unlock()
		n.inFlight--
		done(n.fail[number])
	})
	return nil
}

func (n *node) Flush(context.Context) error {
	n.pending.Wait()
	return nil
}

// send runs one producer for one leg.
func send(t *testing.T, n *node, s Schedule, window int) (Sample, *pace, *producer) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.Start = time.Now()
	p := &pace{Schedule: s}
	one := newProducer(n, []int32{3, 5}, 64, window, NewPayload(), s.Start)
	got := one.run(ctx, p, stamp{run: 7, leg: 9}, cancel)
	require.Len(t, one.free, one.made, "every slot is free again")
	return got, p, one
}

func TestClosedLoopKeepsItsWindowFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{delay: 10 * time.Millisecond}
		got, _, _ := send(t, n, Schedule{Duration: time.Second, Records: 1 << 30}, 8)
		require.Equal(t, 8, n.most)
		require.EqualValues(t, 8*100, got.Records, "8 each 10 ms")
		require.EqualValues(t, 8*100*64, got.Bytes)
		require.Zero(t, got.Failed)
		require.NoError(t, got.Err)
		require.Equal(t, time.Second, got.Elapsed)
		require.InEpsilon(t, 10*time.Millisecond, got.Latencies.Quantile(0), 0.001)
		require.InEpsilon(t, 10*time.Millisecond, got.Latencies.Quantile(1), 0.001)
		require.Nil(t, got.Late)
	})
}

func TestRecordsSayWhenTheyWereDueAndTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{}
		send(t, n, Schedule{Rate: 10, Records: 3}, 8)
		require.Equal(t, []int32{3, 5, 3}, n.places)
		for i, v := range n.values {
			require.Len(t, v, 64)
			s, ok := readStamp(v)
			require.True(t, ok)
			require.Equal(t, stamp{run: 7, leg: 9, due: time.Duration(i) * 100 * time.Millisecond}, s)
		}
	})
}

// One stall of a second shows in every record that was due in it: no coordinated
// omission.
func TestOpenLoopCountsFromWhenARecordWasDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{delay: time.Millisecond, stall: 20 * time.Millisecond}
		got, p, one := send(t, n, Schedule{Rate: 100, Records: 101}, 1000)
		require.EqualValues(t, 101, got.Records)
		require.Zero(t, p.unsent(one.sent))
		// Record i is due at 10i ms, and sent at 20(i+1) ms.
		require.InEpsilon(t, 1021*time.Millisecond, got.Latencies.Quantile(1), 0.001)
		require.InEpsilon(t, 521*time.Millisecond, got.Latencies.Quantile(0.5), 0.001)
		require.InEpsilon(t, time.Second, got.Late.Quantile(1), 0.001)
	})
}

func TestOpenLoopWaitsForAWindowWithoutLosingTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{delay: 100 * time.Millisecond}
		got, p, one := send(t, n, Schedule{Rate: 100, Duration: time.Second, Records: 1 << 30}, 1)
		require.Equal(t, 1, n.most)
		require.EqualValues(t, 11, got.Records, "one each 100 ms, for 1.1 s")
		require.EqualValues(t, 89, p.unsent(one.sent))
		// The last is due after 100 ms, sent after 1 s, and acknowledged after 1.1 s.
		require.InEpsilon(t, time.Second, got.Latencies.Quantile(1), 0.001)
	})
}

// A record that failed is not counted as done, and ends the leg.
func TestFailedRecordsAreNotDone(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		node    *node
		records int64
		failed  int64
	}{
		// The answers to 0, 1 and 2 let 10, 11 and 12 go out.
		"its answer is an error": {&node{fail: map[int]error{3: broken}}, 12, 1},
		"several fail":           {&node{fail: map[int]error{3: broken, 9: errors.New("another")}}, 11, 2},
		"it is not taken":        {&node{refuse: map[int]error{3: broken}}, 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.node.delay, test.node.apart = time.Second, time.Millisecond
				got, _, _ := send(t, test.node, Schedule{Records: 1000}, 10)
				require.Equal(t, test.records, got.Records)
				require.Equal(t, test.failed, got.Failed)
				require.Equal(t, test.records, got.Latencies.Count())
				require.Equal(t, test.records*64, got.Bytes)
				require.Equal(t, broken, got.Err)
			})
		})
	}
}

// A leg knows nothing of the one before.
func TestEachLegCountsFromZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := newProducer(&node{delay: time.Second}, []int32{0}, 64, 4, NewPayload(), time.Now())
		for range 2 {
			p := &pace{Schedule: Schedule{Start: time.Now(), Records: 8}}
			got := one.run(t.Context(), p, stamp{}, func() {})
			require.EqualValues(t, 8, got.Records)
			require.EqualValues(t, 8, got.Latencies.Count())
			require.Equal(t, 2*time.Second, got.Elapsed)
			require.Equal(t, 4, one.made)
		}
	})
}

// An interrupt ends sending, and what was sent is still waited for.
func TestInterruptedProducerWaitsForItsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		one := newProducer(&node{delay: time.Minute}, []int32{0}, 64, 4, NewPayload(), time.Now())
		got := one.run(ctx, &pace{Schedule: Schedule{Start: time.Now(), Records: 1000}}, stamp{}, func() {})
		require.EqualValues(t, 4, got.Records)
		require.Zero(t, got.Failed)
		require.Equal(t, time.Minute, got.Elapsed)
	})
}
