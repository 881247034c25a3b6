package bench

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/talos-log/talos/internal/loadgen"
)

// Report is what was measured.
type Report struct {
	Begun time.Time `json:"begun"`
	// LoadBefore and LoadAfter are the machine's load averages of a minute; the
	// measuring itself makes some of it.
	LoadBefore float64 `json:"load_before"`
	LoadAfter  float64 `json:"load_after"`
	Processors int     `json:"processors"`
	Rounds     int     `json:"rounds"`
	Rows       []Row   `json:"rows"`
}

// Row is one question.
type Row struct {
	Number    int        `json:"number"`
	Title     string     `json:"title"`
	Workloads []Workload `json:"workloads"`
}

// Workload is one load under which contenders were compared.
type Workload struct {
	Name       string      `json:"name"`
	Contenders []Contender `json:"contenders"`
	Figures    []Figure    `json:"figures"`
}

// Contender is what was measured of one system: medians over its legs, by the names
// of columns.
type Contender struct {
	Name   string             `json:"name"`
	Values map[string]float64 `json:"values"`
	// Legs are each leg's values, those of half A before those of half B.
	Legs []map[string]float64 `json:"legs"`
	// Produced and Consumed are percentiles over all legs, in milliseconds; empty if
	// latency was not measured. Consumed is from when a record was due until a
	// consumer had it.
	Produced []Percentile `json:"produce_latency,omitempty"`
	Consumed []Percentile `json:"end_to_end_latency,omitempty"`
}

// Percentile is what so many of all took at most.
type Percentile struct {
	Percent      float64 `json:"percent"`
	Milliseconds float64 `json:"ms"`
}

// Figure is a number of Talos, or its ratio to that of another system.
type Figure struct {
	Name  string  `json:"name"`
	Of    string  `json:"of"`
	To    string  `json:"to,omitempty"`
	Value float64 `json:"value"`
	// SpreadPercent is how far the figures of A and of B are apart, in percent of the
	// smaller one; nil if one of them has none.
	SpreadPercent *float64 `json:"spread_percent,omitempty"`
	// Target is what it shall be at most, or with More at least; 0: there is none. It is
	// not met by what was not measured, nor by a load that was not kept up.
	Target float64 `json:"target,omitempty"`
	More   bool    `json:"more,omitempty"`
	Met    bool    `json:"met,omitempty"`
}

// legs are the outcomes of one contender, by half.
type legs [2][]outcome

func (l legs) all() []outcome { return slices.Concat(l[0], l[1]) }

// values are a number of each leg.
func values(of []outcome, value func(outcome) float64) (all []float64) {
	for _, o := range of {
		all = append(all, value(o))
	}
	return all
}

// column is a value that each contender's legs may have.
type column struct {
	name  string
	value func(outcome) float64
}

func columns() []column {
	return []column{
		{"records/s", recordRate},
		{"MiB/s", byteRate},
		{"ms p50", produceLatency(0.5)},
		{"ms p99", produceLatency(0.99)},
		{"ms p99.9", produceLatency(0.999)},
		{"MiB/s consumed", consumeRate},
		{"ms p50 end to end", endToEnd(0.5)},
		{"ms p99 end to end", endToEnd(0.99)},
		{"CPU s per million", cpuPerMillion},
		{"of clients", clientPerMillion},
		{"MiB peak", peakMiB},
		{"records unsent", func(o outcome) float64 { return float64(o.sample(false).Unsent) }},
	}
}

// row is all values of a leg that it has.
func (o outcome) row() map[string]float64 {
	r := map[string]float64{}
	for _, c := range columns() {
		if v := c.value(o); v != 0 {
			r[c.name] = v
		}
	}
	maps.Copy(r, o.own)
	return r
}

// result sums up legs, by contender.
func (w workload) result(all []legs) Workload {
	r := Workload{Name: w.name}
	of := map[string]legs{}
	for i, c := range w.contenders {
		of[c.name] = all[i]
		one := Contender{Name: c.name, Values: map[string]float64{}}
		byName := map[string][]float64{}
		for _, o := range all[i].all() {
			row := o.row()
			one.Legs = append(one.Legs, row)
			for name, v := range row {
				byName[name] = append(byName[name], v)
			}
		}
		for name, v := range byName {
			one.Values[name] = median(v)
		}
		one.Produced = percentiles(all[i].all(), false)
		one.Consumed = percentiles(all[i].all(), true)
		r.Contenders = append(r.Contenders, one)
	}
	for _, f := range w.figures {
		r.Figures = append(r.Figures, f.result(of))
	}
	return r
}

func (f figure) result(of map[string]legs) Figure {
	r := Figure{Name: f.name, Of: f.of, To: f.to, Target: f.target, More: f.more}
	r.Value = f.over(of[f.of].all(), of[f.to].all())
	a := f.over(of[f.of][0], of[f.to][0])
	b := f.over(of[f.of][1], of[f.to][1])
	if least := min(a, b); least > 0 {
		spread := 100 * (max(a, b)/least - 1)
		r.SpreadPercent = &spread
	}
	if f.target != 0 && r.Value > 0 && !slices.ContainsFunc(of[f.of].all(), outcome.behind) {
		r.Met = r.Value <= f.target
		if f.more {
			r.Met = r.Value >= f.target
		}
	}
	return r
}

// over is the figure of some legs, divided by that of others if it is a ratio.
func (f figure) over(legs, others []outcome) float64 {
	v := median(values(legs, f.value))
	if f.to == "" {
		return v
	}
	if d := median(values(others, f.value)); d > 0 {
		return v / d
	}
	return 0
}

// percents are those that a plot shows.
var percents = []float64{1, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99}

func percentiles(of []outcome, consumed bool) (all []Percentile) {
	sum := loadgen.NewLatencies()
	for _, o := range of {
		if l := o.sample(consumed).Latencies; l != nil {
			sum.Add(l)
		}
	}
	if sum.Count() == 0 {
		return nil
	}
	for _, p := range percents {
		d := sum.Quantile(p / 100)
		all = append(all, Percentile{p, float64(d) / float64(time.Millisecond)})
	}
	return all
}

// WriteJSON writes the report as one object.
func (r Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

func sortedNames(m map[string]float64) []string { return slices.Sorted(maps.Keys(m)) }
