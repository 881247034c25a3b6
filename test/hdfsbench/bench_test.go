package hdfsbench

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/test/hadoop"
)

func TestMain(m *testing.M) { os.Exit(hadoop.Main(m)) }

// Each workload runs once on each side, in the leg that is not counted.
func TestEachWorkloadRunsOnBothSides(t *testing.T) {
	begun := time.Now()
	var words bytes.Buffer
	_, err := Run(t.Context(), hadoop.ForTest(t), Plan{
		Leg: 20 * time.Millisecond, Warmup: 40 * time.Millisecond,
		StreamBytes: 1 << 20, Opens: 1, Settle: 50 * time.Millisecond,
	}, io.MultiWriter(t.Output(), &words))
	require.NoError(t, err)
	for _, name := range Workloads() {
		for _, side := range []string{"Talos", "Hadoop"} {
			require.Regexp(t, name+", round 0 of 0, "+side+": [0-9.]*[1-9]", words.String())
		}
	}
	t.Logf("took %v", time.Since(begun))
}

// fake takes as long as its number says.
type fake struct {
	client
	name  string
	took  time.Duration
	order *[]string
}

func (f fake) open(context.Context, int, bool) (outcome, error) {
	*f.order = append(*f.order, f.name)
	return outcome{each: []time.Duration{f.took}}, nil
}

func TestSidesTakeTurnsAndTheFirstLegsDoNotCount(t *testing.T) {
	var order []string
	opening := workloads()[5]
	b := &bench{plan: Plan{Rounds: 2}, words: t.Output(), sides: [2]side{
		{"Talos", fake{name: "T", took: time.Millisecond, order: &order}, os.Getpid()},
		{"Hadoop", fake{name: "H", took: 4 * time.Millisecond, order: &order}, os.Getpid()},
	}}
	figures, err := b.measure(t.Context(), opening)
	require.NoError(t, err)
	require.Equal(t, "TH HTHT THTH", strings.Join(order[:2], "")+" "+strings.Join(order[2:6], "")+" "+strings.Join(order[6:], ""))
	require.Len(t, figures, 1)
	require.InDelta(t, 0.25, figures[0].Ratio, 0.001)
	require.Len(t, figures[0].TalosLegs, 4)

	var out bytes.Buffer
	r := Report{Figures: figures}
	require.NoError(t, r.WriteTable(&out))
	require.Regexp(t, `\n\| opening a segment, first bytes synced, p50 \| 0.25 \| ≤ 0.5 \| yes \| 0 % \| 0 % \| \d+ % \| \d+ % \|\n`, out.String())
	out.Reset()
	require.NoError(t, r.WriteJSON(&out))
	require.NoError(t, json.Unmarshal(out.Bytes(), &Report{}))
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
}

func TestTheShareIsOfAllLegsTogether(t *testing.T) {
	r := figure{value: throughput}.result([2][2][]outcome{
		{{{client: 1, machine: 2}}, {{client: 1, machine: 8}}}, {{{client: 3, machine: 4}}, nil},
	})
	require.InDelta(t, 20, r.TalosShare, 0.001)
	require.InDelta(t, 75, r.HadoopShare, 0.001)
}

func TestAFigureIsTheMedianOfALegAndTheHalvesTellTheSpread(t *testing.T) {
	legs := func(rates ...float64) (all []outcome) {
		for _, r := range rates {
			all = append(all, outcome{elapsed: time.Second, each: make([]time.Duration, int(r))})
		}
		return all
	}
	f := figure{name: "f", value: rate, target: 2, more: true}
	r := f.result([2][2][]outcome{{legs(100, 90, 120), legs(110, 100, 130)}, {legs(40, 50, 60), legs(50, 50, 50)}})
	require.InDelta(t, 105, r.Talos, 0.1)
	require.InDelta(t, 50, r.Hadoop, 0.1)
	require.InDelta(t, 2.1, r.Ratio, 0.01)
	require.InDelta(t, 10, r.TalosSpread, 0.1)
	require.Zero(t, r.HadoopSpread)
	require.True(t, r.Met)
}

func TestPercentiles(t *testing.T) {
	var o outcome
	for i := range 100 {
		o.each = append(o.each, time.Duration(100-i)*time.Millisecond)
	}
	require.InDelta(t, 50, percentile(50)(o), 0.1)
	require.InDelta(t, 99, percentile(99)(o), 0.1)
	require.Zero(t, percentile(99)(outcome{}))
}

func TestAnUnknownWorkloadIsRefused(t *testing.T) {
	_, err := Run(t.Context(), nil, Plan{Only: []string{"flsh"}}, t.Output())
	require.ErrorContains(t, err, "flush")
}
