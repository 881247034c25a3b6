package bench

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/internal/loadgen"
)

// twoLegs took 2 ms (A) and 3 ms (B) for a record, on a disk that took 1 ms.
func twoLegs() []leg {
	one := func(half string, d time.Duration) leg {
		return leg{1, half, []loadgen.Sample{
			{Name: loadgen.Produced, Records: 1, Bytes: 1 << 20, Elapsed: d, Latencies: took(d)},
			{Name: diskName, Records: 1, Bytes: 1 << 20, Elapsed: time.Millisecond, Latencies: took(time.Millisecond)},
		}}
	}
	return []leg{one(halfA, 2*time.Millisecond), one(halfB, 3*time.Millisecond)}
}

func TestReportPutsTheSpreadBesideEachFigure(t *testing.T) {
	var r Report
	require.NoError(t, r.fill(twoLegs(), []string{loadgen.Produced}))

	produce := r.Results[0]
	require.EqualValues(t, 2, produce.Records)
	require.InDelta(t, 400, produce.RecordsPerSecond, 0.001, "2 in 5 ms")
	require.InDelta(t, 50, *produce.SpreadPercent, 0.001, "B took half as long again")
	require.InEpsilon(t, 3000, produce.Latency.Max, 0.001)

	require.Len(t, r.Ratios, 4)
	require.Equal(t, "p99", r.Ratios[2].Measure)
	require.InEpsilon(t, 3, r.Ratios[2].Ratio, 0.002)
	require.InEpsilon(t, 50, *r.Ratios[2].SpreadPercent, 0.01)

	require.Len(t, r.Legs, 2)
	require.InEpsilon(t, 2000, r.Legs[0].Results[0].Latency.P50, 0.001)
}

func TestReportWithoutTheOtherHalfHasNoSpread(t *testing.T) {
	var r Report
	require.NoError(t, r.fill(twoLegs()[:1], []string{loadgen.Produced}))
	require.Nil(t, r.Results[0].SpreadPercent)
	require.Len(t, r.Ratios, 4)
	require.Nil(t, r.Ratios[0].SpreadPercent)
}

func TestReportTellsOfFailures(t *testing.T) {
	first := errors.New("broken")
	legs := twoLegs()
	legs[1].samples[0].Failed, legs[1].samples[0].Err = 3, first
	var r Report
	err := r.fill(legs, []string{loadgen.Produced})
	require.ErrorIs(t, err, first)
	require.EqualError(t, err, "records failed: 3, the first: broken")
	require.EqualValues(t, 3, r.Results[0].Failed)
}

// Whatever is missing, the report is JSON with arrays in it.
func TestEmptyReportIsJSON(t *testing.T) {
	var r Report
	legs := []leg{{1, halfA, []loadgen.Sample{{Name: loadgen.Produced, Latencies: loadgen.NewLatencies()}}}}
	require.NoError(t, r.fill(legs, []string{loadgen.Produced}))
	text, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(text), `"ratios":[]`)
	require.Contains(t, string(text), `"latency":null`)
	require.Contains(t, string(text), `"records_per_s":0,`)
}
