package loadgen

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
)

// polls are the answers of a consumer, then an error, or none until ctx ends.
type polls struct {
	answers [][]stamp
	err     error
}

func (p *polls) Receive(ctx context.Context, each func([]byte)) error {
	time.Sleep(10 * time.Millisecond)
	if len(p.answers) == 0 {
		if p.err == nil {
			<-ctx.Done()
			return ctx.Err()
		}
		return p.err
	}
	for _, s := range p.answers[0] {
		value := make([]byte, StampBytes)
		s.put(value)
		each(value)
	}
	p.answers = p.answers[1:]
	each([]byte("not ours"))
	return nil
}

func TestTailCountsTheRecordsOfItsLeg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mark := stamp{run: 1, leg: 2}
		at := func(run, leg uint32, due time.Duration) stamp { return stamp{run: run, leg: leg, due: due} }
		one := &tail{epoch: time.Now(), receiver: &polls{answers: [][]stamp{
			{at(1, 2, 2*time.Millisecond), at(1, 1, 0), at(9, 2, 0)},
			{at(1, 2, 5*time.Millisecond)},
		}}}
		ctx, cancel := context.WithCancel(t.Context())
		all := newArrivals()
		all.expect(2)
		var running sync.WaitGroup
		var got *Latencies
		running.Go(func() { got = one.run(ctx, mark, all) })
		<-all.complete
		cancel()
		running.Wait()
		require.EqualValues(t, 2, got.Count())
		require.InEpsilon(t, 8*time.Millisecond, got.Quantile(0), 0.001)
		require.InEpsilon(t, 15*time.Millisecond, got.Quantile(1), 0.001)
		n, last, err := all.count()
		require.EqualValues(t, 2, n)
		require.Equal(t, one.epoch.Add(20*time.Millisecond), last)
		require.NoError(t, err)
	})
}

func TestTailThatCannotGoOnEndsTheWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		all := newArrivals()
		all.expect(1)
		(&tail{epoch: time.Now(), receiver: &polls{err: broken}}).run(t.Context(), stamp{}, all)
		<-all.complete
		_, _, err := all.count()
		require.Equal(t, broken, err)
		all.fail(errors.New("another")) // closes nothing twice
	})
}

func TestArrivalsAreCompleteInAnyOrder(t *testing.T) {
	isComplete := func(a *arrivals) bool {
		select {
		case <-a.complete:
			return true
		default:
			return false
		}
	}
	late, early := newArrivals(), newArrivals()
	late.add(2, time.Now())
	require.False(t, isComplete(late), "more may come")
	late.expect(3)
	require.False(t, isComplete(late))
	late.add(2, time.Now()) // one came twice
	require.True(t, isComplete(late))
	late.add(1, time.Now())

	early.expect(0)
	require.True(t, isComplete(early))
}

// What was acknowledged, and did not come, failed.
func TestMissingRecordsFailed(t *testing.T) {
	f := NewFleet(100, time.Second, nil)
	all := newArrivals()
	start := time.Now()
	all.add(7, start.Add(2*time.Second))
	got := f.consumed(all, []*Latencies{took(time.Second), took(time.Second)}, 10, start)
	require.EqualValues(t, 7, got.Records)
	require.EqualValues(t, 3, got.Failed)
	require.ErrorIs(t, got.Err, talos.Timeout)
	require.Equal(t, 2*time.Second, got.Elapsed)
	require.EqualValues(t, 2, got.Latencies.Count())
}

// took counts one that took so long.
func took(d time.Duration) *Latencies {
	l := NewLatencies()
	l.Record(d)
	return l
}
