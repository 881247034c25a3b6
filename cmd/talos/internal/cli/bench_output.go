package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/talos-log/talos/cmd/talos/internal/bench"
)

// printBench writes a report as tables.
func printBench(w io.Writer, r *bench.Report) error {
	if _, err := fmt.Fprintf(w, "%s\n\n", benchTitle(r)); err != nil {
		return err
	}
	for _, g := range []*grid{throughputs(r), latencies(r), ratios(r)} {
		if len(g.rows) == 0 {
			continue
		}
		if err := g.write(w); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, benchNotes(r))
	return err
}

// benchTitle says what was measured.
func benchTitle(r *bench.Report) string {
	parts := []string{
		r.Workload, count(r.Partitions, "partition"), fmt.Sprintf("records of %d bytes", r.Size), "compression " + r.Codec,
	}
	if r.Producers > 0 {
		parts = append(parts, count(r.Producers, "producer"))
	}
	if r.InFlight > 0 {
		parts = append(parts, fmt.Sprintf("closed loop, %d in flight each", r.InFlight))
	}
	if r.Rate > 0 {
		parts = append(parts, fmt.Sprintf("open loop, %.10g records/s", r.Rate))
	}
	if r.Consumers > 0 {
		parts = append(parts, count(r.Consumers, "consumer"))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d x 2 runs", r.Rounds)), ", ")
}

func throughputs(r *bench.Report) *grid {
	g := newGrid(left("THROUGHPUT"), right("RECORDS/S"), right("MIB/S"), right("SPREAD"), right("RECORDS"), right("FAILED"))
	for _, one := range r.Results {
		g.add(one.Name, fmt.Sprintf("%.0f", one.RecordsPerSecond), fmt.Sprintf("%.1f", one.MiBPerSecond),
			spreadText(one.SpreadPercent), one.Records, one.Failed)
	}
	return g
}

func latencies(r *bench.Report) *grid {
	g := newGrid(left("LATENCY"), right("P50"), right("P90"), right("P99"), right("P99.9"), right("MAX"))
	add := func(name string, l *bench.Latency) {
		if l != nil {
			g.add(name, micros(l.P50), micros(l.P90), micros(l.P99), micros(l.P999), micros(l.Max))
		}
	}
	for _, one := range r.Results {
		add(one.Name, one.Latency)
		add(one.Name+" sent late by", one.Late)
	}
	return g
}

// ratios has a row for each pair, with a column for each measure.
func ratios(r *bench.Report) *grid {
	g := newGrid(left("RATIO (SPREAD)"))
	last := ""
	for _, one := range r.Ratios {
		if pair := one.Of + " / " + one.To; pair != last {
			g.add(pair)
			last = pair
		}
		row := len(g.rows) - 1
		if row == 0 {
			g.columns = append(g.columns, right(strings.ToUpper(one.Measure)))
		}
		g.rows[row] = append(g.rows[row], fmt.Sprintf("%.2f (%s)", one.Ratio, spreadText(one.SpreadPercent)))
	}
	return g
}

// benchNotes says what would be overlooked in the tables.
func benchNotes(r *bench.Report) string {
	var b strings.Builder
	for _, one := range r.Results {
		if one.Unsent > 0 {
			fmt.Fprintf(&b, "%d records were due and not sent: the rate was not kept, so latencies are at least these.\n", one.Unsent)
		}
	}
	b.WriteString("Spread: how far A and B, which are the same thing, are apart; smaller differences mean nothing.\n")
	return b.String()
}

func spreadText(percent *float64) string {
	if percent == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", *percent)
}

// micros writes microseconds with three digits.
func micros(us float64) string {
	d := time.Duration(us * float64(time.Microsecond))
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(10 * time.Microsecond).String()
	default:
		return d.Round(10 * time.Millisecond).String()
	}
}
