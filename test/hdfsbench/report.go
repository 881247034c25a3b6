package hdfsbench

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is what was measured.
type Report struct {
	Begun time.Time `json:"begun"`
	// LoadBefore and LoadAfter are the machine's load averages of a minute; the
	// measuring itself makes some of it.
	LoadBefore float64  `json:"load_before"`
	LoadAfter  float64  `json:"load_after"`
	Processors int      `json:"processors"`
	Figures    []Result `json:"figures"`
}

// Result is one figure of both sides: medians over their legs.
type Result struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Talos  float64 `json:"talos"`
	Hadoop float64 `json:"hadoop"` // 0: it has no such thing
	// Ratio is the one divided by the other, or 0.
	Ratio float64 `json:"ratio"`
	// Target is for the ratio (0: there is none), or, with Absolute, for Talos' figure itself; at least
	// that with More, else at most.
	Target   float64 `json:"target"`
	More     bool    `json:"more"`
	Absolute bool    `json:"absolute"`
	Met      bool    `json:"met"`
	// The spreads are how far the halves of a side are apart, in percent.
	TalosSpread  float64 `json:"talos_spread_percent"`
	HadoopSpread float64 `json:"hadoop_spread_percent"`
	// The shares are how much of the machine's processor time the client itself used, in
	// percent: what is left is HDFS', and bounds what any client can gain.
	TalosShare  float64   `json:"talos_share_percent"`
	HadoopShare float64   `json:"hadoop_share_percent"`
	TalosLegs   []float64 `json:"talos_legs"`
	HadoopLegs  []float64 `json:"hadoop_legs"`
}

// result sums up legs by side, then by half.
func (f figure) result(legs [2][2][]outcome) Result {
	r := Result{Name: f.name, Unit: f.unit, Target: f.target, More: f.more, Absolute: f.absolute}
	r.TalosLegs, r.Talos, r.TalosSpread = f.sum(legs[0])
	r.HadoopLegs, r.Hadoop, r.HadoopSpread = f.sum(legs[1])
	r.TalosShare, r.HadoopShare = share(legs[0]), share(legs[1])
	if r.Hadoop > 0 {
		r.Ratio = r.Talos / r.Hadoop
	}
	if f.target == 0 {
		return r
	}
	judged := r.Ratio
	if r.Absolute {
		judged = r.Talos
	}
	r.Met = judged <= r.Target
	if r.More {
		r.Met = judged >= r.Target
	}
	return r
}

// sum returns a side's legs in the order of halves, their median, and how far the
// halves' medians are apart, in percent of the smaller one.
func (f figure) sum(halves [2][]outcome) (all []float64, middle, spread float64) {
	var middles [2]float64
	for i, half := range halves {
		var values []float64
		for _, o := range half {
			values = append(values, f.value(o))
		}
		middles[i] = median(values)
		all = append(all, values...)
	}
	if least := min(middles[0], middles[1]); least > 0 {
		spread = 100 * (max(middles[0], middles[1])/least - 1)
	}
	return all, median(all), spread
}

func share(halves [2][]outcome) float64 {
	var client, machine time.Duration
	for _, o := range slices.Concat(halves[0], halves[1]) {
		client, machine = client+o.client, machine+o.machine
	}
	return 100 * float64(client) / float64(max(machine, 1))
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// WriteJSON writes the report as one object.
func (r Report) WriteJSON(w io.Writer) error {
	r.Processors = runtime.NumCPU()
	return json.NewEncoder(w).Encode(r)
}

// WriteTable writes the ratios as a table in Markdown.
func (r Report) WriteTable(w io.Writer) error {
	var text strings.Builder
	text.WriteString("| | Talos / Hadoop's client | target | met | spread of Talos | of Hadoop's client | share of Talos | of Hadoop's client |\n|---|---|---|---|---|---|---|---|\n")
	for _, f := range r.Figures {
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %.0f %% | %s | %.0f %% | %.0f %% |\n",
			f.Name, f.ratio(), f.goal(), f.verdict(), f.TalosSpread, f.hadoopSpread(), f.TalosShare, f.HadoopShare)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func (r Result) ratio() string {
	var parts []string
	if r.Ratio > 0 {
		parts = append(parts, fmt.Sprintf("%.2f", r.Ratio))
	}
	if r.Absolute {
		parts = append(parts, fmt.Sprintf("%.0f %s", r.Talos, r.Unit))
	}
	return strings.Join(parts, ", ")
}

func (r Result) goal() string {
	if r.Target == 0 {
		return ""
	}
	sign, unit := "≤", ""
	if r.More {
		sign = "≥"
	}
	if r.Absolute {
		unit = " " + r.Unit
	}
	return fmt.Sprintf("%s %v%s", sign, r.Target, unit)
}

func (r Result) hadoopSpread() string {
	if r.Hadoop == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %%", r.HadoopSpread)
}

func (r Result) verdict() string {
	switch {
	case r.Target == 0:
		return ""
	case r.Met:
		return "yes"
	default:
		return "**no**"
	}
}
