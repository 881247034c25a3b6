package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/cmd/talos/internal/bench"
)

func TestPrintBench(t *testing.T) {
	spread := func(x float64) *float64 { return &x }
	produce := bench.Result{
		Name: "produce", Records: 1000, Failed: 2, Unsent: 7, RecordsPerSecond: 500.4, MiBPerSecond: 0.49,
		SpreadPercent: spread(3.25), Latency: &bench.Latency{P50: 1234.5, P90: 2000, P99: 3000, P999: 4000, Max: 1_234_567},
		Late: &bench.Latency{P50: 60, P90: 70, P99: 80, P999: 90, Max: 100},
	}
	disk := bench.Result{Name: "fdatasync", Records: 9, Latency: &bench.Latency{P50: 617.2, P90: 700, P99: 800, P999: 900, Max: 1000}}
	r := &bench.Report{
		Workload: "produce", Partitions: 1, Size: 100, Codec: "none", Producers: 4, Rate: 500, Rounds: 3,
		Results: []bench.Result{produce, disk},
		Ratios: []bench.Ratio{
			{Of: "produce", To: "fdatasync", Measure: "p50", Ratio: 2, SpreadPercent: spread(12)},
			{Of: "produce", To: "fdatasync", Measure: "p99", Ratio: 3.75},
			{Of: "produce", To: "grpc", Measure: "p50", Ratio: 20, SpreadPercent: spread(1)},
			{Of: "produce", To: "grpc", Measure: "p99", Ratio: 37.5, SpreadPercent: spread(2)},
		},
	}
	want := `produce, 1 partition, records of 100 bytes, compression none, 4 producers, open loop, 500 records/s, 3 x 2 runs

THROUGHPUT  RECORDS/S  MIB/S  SPREAD  RECORDS  FAILED
produce           500    0.5    3.2%     1000       2
fdatasync           0    0.0       -        9       0

LATENCY                  P50    P90    P99  P99.9    MAX
produce               1.23ms    2ms    3ms    4ms  1.23s
produce sent late by    60µs   70µs   80µs   90µs  100µs
fdatasync              617µs  700µs  800µs  900µs    1ms

RATIO (SPREAD)                P50           P99
produce / fdatasync  2.00 (12.0%)      3.75 (-)
produce / grpc       20.00 (1.0%)  37.50 (2.0%)

7 records were due and not sent: the rate was not kept, so latencies are at least these.
Spread: how far A and B, which are the same thing, are apart; smaller differences mean nothing.
`
	var out strings.Builder
	require.NoError(t, printBench(&out, r))
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// Without anything to compare there is no empty table.
func TestPrintBenchWithoutRatios(t *testing.T) {
	var out strings.Builder
	require.NoError(t, printBench(&out, &bench.Report{Workload: "catch-up", Consumers: 2}))
	require.NotContains(t, out.String(), "RATIO")
	require.NotContains(t, out.String(), "LATENCY")
	require.Contains(t, out.String(), "2 consumers")
}
