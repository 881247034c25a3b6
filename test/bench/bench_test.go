package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/internal/loadgen"
)

// Every row of `make bench` runs to its end on the real systems, and each of its
// contenders and figures has a number. What it is is of no interest here.
func TestEveryRowWorks(t *testing.T) {
	p := SmokePlan()
	p.Scratch = t.TempDir()
	r, err := Run(t.Context(), p, t.Logf)
	require.NoError(t, err)
	require.Len(t, r.Rows, len(p.Rows))
	for _, row := range r.Rows {
		for _, w := range row.Workloads {
			for _, c := range w.Contenders {
				require.NotEmpty(t, c.Legs, "%s, %s", w.Name, c.Name)
			}
			for _, f := range w.Figures {
				require.NotZero(t, f.Value, "%s, %s of %s", w.Name, f.Name, f.Of)
			}
			var plot bytes.Buffer
			_, err := w.WritePlot(&plot)
			require.NoError(t, err)
		}
	}
}

func TestUnknownRowsAreRefused(t *testing.T) {
	p := SmokePlan()
	p.Rows = []int{1, 99}
	_, err := Run(t.Context(), p, t.Logf)
	require.EqualError(t, err, "there is no row 99")
}

// Each contender comes as often before another one as behind it.
func TestContendersTakeTurns(t *testing.T) {
	require.Equal(t, []int{0, 1, 2}, order(3, 1, 0))
	require.Equal(t, []int{2, 1, 0}, order(3, 1, 1))
	require.Equal(t, []int{2, 1, 0}, order(3, 2, 0))
	require.Equal(t, []int{0, 1, 2}, order(3, 2, 1))
}

// took is a leg of so many records in a second, each of which took so long.
func took(records int64, each time.Duration) outcome {
	s := &loadgen.Sample{Records: records, Bytes: records << 10, Elapsed: time.Second, Latencies: loadgen.NewLatencies()}
	for range records {
		s.Latencies.Record(each)
	}
	return outcome{produced: s, cpu: time.Second, client: 2 * time.Second, peak: 64 << 20}
}

// example is a workload with two contenders, and two rounds.
func example() Workload {
	w := workload{
		name:       "example",
		contenders: []contender{{name: "one"}, {name: "other"}},
		figures: []figure{
			{name: "records/s", value: recordRate, of: "one", to: "other", target: 2, more: true},
			{name: "p50", value: produceLatency(0.5), of: "one", to: "other", target: 0.5},
			{name: "p99, ms", value: produceLatency(0.99), of: "one"},
			{name: "nothing", value: own("nothing"), of: "one", to: "other"},
		},
	}
	return w.result([]legs{
		{{took(300, time.Millisecond), took(310, time.Millisecond)}, {took(330, time.Millisecond), took(340, time.Millisecond)}},
		{{took(100, time.Millisecond), took(100, time.Millisecond)}, {took(100, time.Millisecond), took(100, time.Millisecond)}},
	})
}

func TestFiguresAreRatiosOfMedians(t *testing.T) {
	f := example().Figures
	require.InDelta(t, 3.2, f[0].Value, 1e-9)
	require.InDelta(t, 100*(335./305-1), *f[0].SpreadPercent, 1e-9, "A is 305, B 335")
	require.True(t, f[0].Met)
	require.InDelta(t, 1, f[1].Value, 1e-9)
	require.False(t, f[1].Met)
	require.InEpsilon(t, 1, f[2].Value, 0.01)
	require.Zero(t, f[3].Value, "what was not measured is no number")
}

func TestTableNamesTargetsAndWhetherTheyAreMet(t *testing.T) {
	r := Report{Rows: []Row{{Number: 7, Title: "A question", Workloads: []Workload{example()}}}}
	var text strings.Builder
	require.NoError(t, r.WriteTable(&text))
	require.Equal(t, `### 7. A question

| workload | figure | of / to | value | spread of A and B | target | met |
|---|---|---|---|---|---|---|
| example | records/s | one / other | 3.2 | 10 % | ≥ 2 | yes |
| example | p50 | one / other | 1 | 0 % | ≤ 0.5 | **no** |
| example | p99, ms | one | 1 | 0 % |  |  |
| example | nothing | one / other | 0 |  |  |  |

| example | records/s | MiB/s | ms p50 | ms p99 | ms p99.9 | CPU s per million | of clients | MiB peak |
|---|---|---|---|---|---|---|---|---|
| one | 320 | 0.312 | 1 | 1 | 1 | 3128 | 6256 | 64 |
| other | 100 | 0.0977 | 1 | 1 | 1 | 10000 | 20000 | 64 |

`, text.String())
}

func TestPlotIsWellFormed(t *testing.T) {
	var plot bytes.Buffer
	drawn, err := example().WritePlot(&plot)
	require.NoError(t, err)
	require.True(t, drawn)
	lines := 0
	for d := xml.NewDecoder(&plot); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			lines++
		}
	}
	require.Equal(t, 2, lines, "one for each contender")

	drawn, err = Workload{Name: "no latency"}.WritePlot(&plot)
	require.NoError(t, err)
	require.False(t, drawn)
}
