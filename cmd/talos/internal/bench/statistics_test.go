package bench

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSpread(t *testing.T) {
	for name, test := range map[string]struct {
		a, b, want float64
		ok         bool
	}{
		"the same":                 {5, 5, 0, true},
		"in percent of the lesser": {100, 150, 50, true},
		"either may be the lesser": {150, 100, 50, true},
		"one is missing":           {0, 5, 0, false},
		"both are missing":         {0, 0, 0, false},
		"no number":                {math.Inf(1), 1, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := spread(test.a, test.b)
			require.Equal(t, test.ok, ok)
			require.InDelta(t, test.want, got, 1e-9)
		})
	}
}

// No half is always the first one: what changes with time falls on both.
func TestHalvesTakeTurns(t *testing.T) {
	require.Equal(t, [2]string{halfA, halfB}, order(1))
	require.Equal(t, [2]string{halfB, halfA}, order(2))
	require.Equal(t, [2]string{halfA, halfB}, order(3))
}

func took(all ...time.Duration) *latencies {
	l := newLatencies()
	for _, d := range all {
		l.record(d)
	}
	return l
}

// Together, histograms say what one histogram of all would.
func TestLatenciesOfLegsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		durations := rapid.SliceOf(rapid.Int64Range(-5, 2*int64(mostLatency)))
		first, second := durations.Draw(t, "first"), durations.Draw(t, "second")
		one, a, b := newLatencies(), newLatencies(), newLatencies()
		for _, d := range first {
			a.record(time.Duration(d))
			one.record(time.Duration(d))
		}
		for _, d := range second {
			b.record(time.Duration(d))
			one.record(time.Duration(d))
		}
		both := sum(a, b)
		require.EqualValues(t, len(first)+len(second), both.count(), "nothing is dropped, however long it took")
		for _, q := range []float64{0, 0.5, 0.99, 0.999, 1} {
			require.Equal(t, one.quantile(q), both.quantile(q))
		}
		require.EqualValues(t, len(first), a.count(), "the parts stay as they are")
	})
}

func TestQuantiles(t *testing.T) {
	l := newLatencies()
	for i := range 1000 {
		l.record(time.Duration(i+1) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{
		0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 0.999: 999 * time.Millisecond, 1: time.Second,
	} {
		require.InEpsilon(t, want, l.quantile(q), 0.001, "quantile %v", q)
	}
	require.Zero(t, newLatencies().quantile(0.5))
}

func TestTotals(t *testing.T) {
	first := errors.New("first")
	legs := []leg{
		{1, halfA, []sample{
			{name: produceName, records: 10, bytes: 100, elapsed: time.Second, latencies: took(time.Millisecond)},
			{name: diskName, records: 1, elapsed: time.Second},
		}},
		{1, halfB, []sample{{name: produceName, records: 30, failed: 2, unsent: 3, bytes: 300, elapsed: time.Second, err: first}}},
		{2, halfB, []sample{{name: produceName, records: 5, elapsed: 2 * time.Second, late: took(time.Second), err: errors.New("second")}}},
	}
	all, names := total(legs, "")
	require.Equal(t, []string{produceName, diskName}, names)
	got := all[produceName]
	require.EqualValues(t, 45, got.records)
	require.EqualValues(t, 2, got.failed)
	require.EqualValues(t, 3, got.unsent)
	require.EqualValues(t, 400, got.bytes)
	require.Equal(t, 4*time.Second, got.elapsed)
	require.EqualValues(t, 1, got.latencies.count())
	require.EqualValues(t, 1, got.late.count())
	require.Equal(t, first, got.err)
	require.InDelta(t, 100, got.bytesPerSecond(), 1e-9)
	require.Nil(t, all[diskName].latencies)

	b, names := total(legs, halfB)
	require.Equal(t, []string{produceName}, names)
	require.EqualValues(t, 35, b[produceName].records)
	require.EqualValues(t, 10, legs[0].samples[0].records, "the legs stay as they are")
}

func TestRatio(t *testing.T) {
	all := totals{
		produceName:   {latencies: took(30 * time.Millisecond)},
		diskName:      {latencies: took(10 * time.Millisecond)},
		roundTripName: {latencies: took(5 * time.Millisecond)},
		consumeName:   {latencies: newLatencies()},
	}
	p50 := latencyMeasures()[0]
	got, ok := all.ratio(p50, produceName, diskName)
	require.True(t, ok)
	require.InEpsilon(t, 3, got, 0.002)
	got, ok = all.ratio(p50, produceName, diskName, roundTripName)
	require.True(t, ok)
	require.InEpsilon(t, 2, got, 0.002, "to the sum of both")

	for name, pair := range map[string][2]string{
		"nothing was measured":          {consumeName, diskName},
		"nothing was measured of it":    {produceName, consumeName},
		"the yardstick was not applied": {produceName, fetchName},
	} {
		_, ok = all.ratio(p50, pair[0], pair[1])
		require.False(t, ok, name)
	}
}
