package bench

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/internal/loadgen"
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

func took(all ...time.Duration) *loadgen.Latencies {
	l := loadgen.NewLatencies()
	for _, d := range all {
		l.Record(d)
	}
	return l
}

func TestTotals(t *testing.T) {
	first := errors.New("first")
	legs := []leg{
		{1, halfA, []loadgen.Sample{
			{Name: loadgen.Produced, Records: 10, Bytes: 100, Elapsed: time.Second, Latencies: took(time.Millisecond)},
			{Name: diskName, Records: 1, Elapsed: time.Second},
		}},
		{1, halfB, []loadgen.Sample{{Name: loadgen.Produced, Records: 30, Failed: 2, Unsent: 3, Bytes: 300, Elapsed: time.Second, Err: first}}},
		{2, halfB, []loadgen.Sample{{Name: loadgen.Produced, Records: 5, Elapsed: 2 * time.Second, Late: took(time.Second), Err: errors.New("second")}}},
	}
	all, names := total(legs, "")
	require.Equal(t, []string{loadgen.Produced, diskName}, names)
	got := all[loadgen.Produced]
	require.EqualValues(t, 45, got.Records)
	require.EqualValues(t, 2, got.Failed)
	require.EqualValues(t, 3, got.Unsent)
	require.EqualValues(t, 400, got.Bytes)
	require.Equal(t, 4*time.Second, got.Elapsed)
	require.EqualValues(t, 1, got.Latencies.Count())
	require.EqualValues(t, 1, got.Late.Count())
	require.Equal(t, first, got.Err)
	require.InDelta(t, 100, got.BytesPerSecond(), 1e-9)
	require.Nil(t, all[diskName].Latencies)

	b, names := total(legs, halfB)
	require.Equal(t, []string{loadgen.Produced}, names)
	require.EqualValues(t, 35, b[loadgen.Produced].Records)
	require.EqualValues(t, 10, legs[0].samples[0].Records, "the legs stay as they are")
}

func TestRatio(t *testing.T) {
	all := totals{
		loadgen.Produced: {Latencies: took(30 * time.Millisecond)},
		diskName:         {Latencies: took(10 * time.Millisecond)},
		roundTripName:    {Latencies: took(5 * time.Millisecond)},
		loadgen.Consumed: {Latencies: loadgen.NewLatencies()},
	}
	p50 := latencyMeasures()[0]
	got, ok := all.ratio(p50, loadgen.Produced, diskName)
	require.True(t, ok)
	require.InEpsilon(t, 3, got, 0.002)
	got, ok = all.ratio(p50, loadgen.Produced, diskName, roundTripName)
	require.True(t, ok)
	require.InEpsilon(t, 2, got, 0.002, "to the sum of both")

	for name, pair := range map[string][2]string{
		"nothing was measured":          {loadgen.Consumed, diskName},
		"nothing was measured of it":    {loadgen.Produced, loadgen.Consumed},
		"the yardstick was not applied": {loadgen.Produced, fetchName},
	} {
		_, ok = all.ratio(p50, pair[0], pair[1])
		require.False(t, ok, name)
	}
}
