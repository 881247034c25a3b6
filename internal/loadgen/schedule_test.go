package loadgen

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSchedule(t *testing.T) {
	start := time.Unix(1000, 0)
	s := Schedule{Start: start, Rate: 1000, Duration: time.Second, Records: 1 << 40}
	require.Equal(t, start, s.due(0))
	require.Equal(t, start.Add(time.Millisecond), s.due(1))
	require.Equal(t, start.Add(time.Hour), s.due(3_600_000), "no drift")
	require.EqualValues(t, 1000, s.total())
	require.EqualValues(t, 1, Schedule{Rate: 0.1, Duration: time.Second, Records: 9}.total(), "one is due at once")
	require.EqualValues(t, 9, Schedule{Rate: 1000, Duration: time.Second, Records: 9}.total())
	require.EqualValues(t, 9, Schedule{Rate: 1000, Records: 9}.total())

	require.False(t, s.over(start.Add(time.Second)), "timers are late")
	require.True(t, s.over(start.Add(1100*time.Millisecond)))
	s.Rate = 0
	require.False(t, s.over(start.Add(time.Second-1)))
	require.True(t, s.over(start.Add(time.Second)))
	s.Duration = 0
	require.False(t, s.over(start.Add(time.Hour)))
}

// However many take from a pace, records go out when they are due.
func TestPaceKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := &pace{Schedule: Schedule{Start: start, Rate: 100, Duration: time.Second, Records: 1000}}
		var mu sync.Mutex
		sent := map[time.Duration]int{}
		var takers sync.WaitGroup
		for range 3 {
			takers.Go(func() {
				for {
					got, ok := p.next(t.Context())
					if !ok {
						return
					}
					require.Zero(t, got.late)
					require.Equal(t, time.Now(), got.due)
					mu.Lock()
					sent[got.due.Sub(start)]++
					mu.Unlock()
				}
			})
		}
		takers.Wait()
		require.Len(t, sent, 100, "one each 10 ms")
		require.Zero(t, p.unsent(100))
		require.Equal(t, 990*time.Millisecond, time.Since(start))
	})
}

// Who comes late finds what was due meanwhile still to be sent.
func TestPaceIsNotStoppedByASlowTaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pace{Schedule: Schedule{Start: time.Now(), Rate: 100, Duration: time.Second, Records: 1000}}
		time.Sleep(250 * time.Millisecond)
		for i := range 25 {
			got, ok := p.next(t.Context())
			require.True(t, ok)
			require.Equal(t, time.Duration(25-i)*10*time.Millisecond, got.late)
		}
		time.Sleep(time.Second) // the leg is over
		_, ok := p.next(t.Context())
		require.False(t, ok)
		require.EqualValues(t, 75, p.unsent(25))
	})
}

func TestPaceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := &pace{Schedule: Schedule{Start: time.Now(), Rate: 0.001, Records: 1000}}
		_, ok := p.next(ctx)
		require.True(t, ok)
		time.AfterFunc(time.Second, cancel)
		_, ok = p.next(ctx)
		require.False(t, ok, "the second one is due in 1000 s")
	})
}

func TestPaceOfAClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pace{Schedule: Schedule{Start: time.Now(), Duration: time.Second, Records: 2}}
		got, ok := p.next(t.Context())
		require.True(t, ok)
		require.Equal(t, time.Now(), got.due)
		_, ok = p.next(t.Context())
		require.True(t, ok)
		_, ok = p.next(t.Context())
		require.False(t, ok)
		require.Zero(t, p.unsent(1))
	})
}
