package serial_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/talos-log/talos/storage/internal/serial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHandlesEverythingInOrderAndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var batches [][]int
		q := serial.New(func(batch []int) {
			<-gate
			batches = append(batches, append([]int(nil), batch...))
		})
		q.Put(1)
		synctest.Wait() // the handler has taken 1 and is at the gate
		for i := 2; i <= 4; i++ {
			q.Put(i)
		}
		close(gate)
		require.NoError(t, q.Wait(t.Context()))
		require.Equal(t, [][]int{{1}, {2, 3, 4}}, batches)
	})
}

func TestNeverHandlesConcurrentlyAndLosesNothing(t *testing.T) {
	const putters, each = 8, 500
	next := make([]int, putters) // unguarded: the race detector sees two handlers at once
	q := serial.New(func(batch [][2]int) {
		for _, item := range batch {
			if next[item[0]] == item[1] {
				next[item[0]]++
			}
		}
	})
	var wg sync.WaitGroup
	for p := range putters {
		wg.Go(func() {
			for i := range each {
				q.Put([2]int{p, i})
			}
		})
	}
	wg.Wait()
	require.NoError(t, q.Wait(t.Context()))
	for p, n := range next {
		require.Equal(t, each, n, "items of putter %d that came in order", p)
	}
}

func TestWaitEndsWithTheContextWhileTheHandlerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		q := serial.New(func([]int) { <-gate })
		q.Put(1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, q.Wait(ctx), context.Canceled)
		close(gate)
		require.NoError(t, q.Wait(t.Context()))
	})
}

func TestWaitIsNotHeldUpByItemsThatKeepComing(t *testing.T) {
	stop := make(chan struct{})
	var q *serial.Queue[int]
	q = serial.New(func([]int) {
		select {
		case <-stop:
		default:
			q.Put(1) // one item always leads to the next
		}
	})
	q.Put(1)
	require.NoError(t, q.Wait(t.Context()))
	close(stop)
	require.NoError(t, q.Wait(t.Context()))
}
