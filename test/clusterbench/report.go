package clusterbench

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
	Processors int      `json:"processors"`
	Results    []Result `json:"results"`
}

// Result is one number.
type Result struct {
	Figure string    `json:"figure"`
	Store  StoreKind `json:"store"`
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Value  float64   `json:"value"`
	// Limited: Value shall be at most Target; Ratio is the one divided by the other,
	// or 0 if Target is.
	Limited bool    `json:"limited"`
	Target  float64 `json:"target"`
	Ratio   float64 `json:"ratio"`
	Met     bool    `json:"met"`
}

// note reports a number without a target.
func (l *lab) note(name, unit string, value float64) {
	l.add(Result{Name: name, Unit: unit, Value: value})
}

// atMost reports a number that has one.
func (l *lab) atMost(name, unit string, value, target float64) {
	r := Result{Name: name, Unit: unit, Value: value, Limited: true, Target: target, Met: value <= target}
	if target > 0 {
		r.Ratio = value / target
	}
	l.add(r)
}

func (l *lab) add(r Result) {
	r.Figure, r.Store = l.figure, l.store.kind
	l.results = append(l.results, r)
	l.say("%s: %s", r.Name, text(r.Value, r.Unit))
}

// text is a number of four digits or more.
func text(value float64, unit string) string {
	digits := fmt.Sprintf("%.4g", value)
	if value >= 1000 {
		digits = fmt.Sprintf("%.0f", value)
	}
	return strings.TrimSpace(digits + " " + unit)
}

// WriteJSON writes the report as one object.
func (r Report) WriteJSON(w io.Writer) error {
	r.Processors = runtime.NumCPU()
	return json.NewEncoder(w).Encode(r)
}

// WriteTable writes it as a table in Markdown.
func (r Report) WriteTable(w io.Writer) error {
	var table strings.Builder
	table.WriteString("| figure | store | | measured | target | measured / target | met |\n|---|---|---|---|---|---|---|\n")
	for _, f := range r.Results {
		goal, ratio, met := "", "", ""
		if f.Limited {
			goal, met = "≤ "+text(f.Target, f.Unit), "**no**"
		}
		if f.Met {
			met = "yes"
		}
		if f.Target > 0 {
			ratio = fmt.Sprintf("%.2f", f.Ratio)
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s | %s | %s |\n", f.Figure, f.Store, f.Name, text(f.Value, f.Unit), goal, ratio, met)
	}
	_, err := io.WriteString(w, table.String())
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// percentile returns a figure of durations in milliseconds; 0 if there are none.
func percentile(percent int, of []time.Duration) float64 {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return milliseconds(sorted[(len(sorted)-1)*percent/100])
}
