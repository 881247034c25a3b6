package loadgen

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Together, histograms say what one histogram of all would.
func TestLatenciesOfLegsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		durations := rapid.SliceOf(rapid.Int64Range(-5, 2*int64(mostLatency)))
		first, second := durations.Draw(t, "first"), durations.Draw(t, "second")
		one, a, b := NewLatencies(), NewLatencies(), NewLatencies()
		for _, d := range first {
			a.Record(time.Duration(d))
			one.Record(time.Duration(d))
		}
		for _, d := range second {
			b.Record(time.Duration(d))
			one.Record(time.Duration(d))
		}
		both := sum(a, b)
		require.EqualValues(t, len(first)+len(second), both.Count(), "nothing is dropped, however long it took")
		for _, q := range []float64{0, 0.5, 0.99, 0.999, 1} {
			require.Equal(t, one.Quantile(q), both.Quantile(q))
		}
		require.EqualValues(t, len(first), a.Count(), "the parts stay as they are")
	})
}

func TestQuantiles(t *testing.T) {
	l := NewLatencies()
	for i := range 1000 {
		l.Record(time.Duration(i+1) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{
		0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 0.999: 999 * time.Millisecond, 1: time.Second,
	} {
		require.InEpsilon(t, want, l.Quantile(q), 0.001, "quantile %v", q)
	}
	require.Zero(t, NewLatencies().Quantile(0.5))
}
