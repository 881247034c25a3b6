package bench

import (
	"math"
	"time"

	"github.com/talos-log/talos/internal/loadgen"
)

// The halves of a round.
const (
	halfA = "A"
	halfB = "B"
)

// order says which half comes first in a round: in turn, so that a machine that
// gets slower does not slow one of them alone.
func order(round int) [2]string {
	if round%2 == 1 {
		return [2]string{halfA, halfB}
	}
	return [2]string{halfB, halfA}
}

// spread is how far two results are apart, in percent of the smaller one. False
// if one of them is missing.
func spread(a, b float64) (percent float64, ok bool) {
	least, most := min(a, b), max(a, b)
	if least <= 0 || math.IsInf(most, 0) {
		return 0, false
	}
	return 100 * (most/least - 1), true
}

// totals are samples by name, those of several legs together.
type totals map[string]*loadgen.Sample

// total adds up the legs of one half, or of both if half is empty. names are in
// the order in which the samples came.
func total(legs []leg, half string) (all totals, names []string) {
	all = totals{}
	for _, l := range legs {
		if half != "" && l.half != half {
			continue
		}
		for _, s := range l.samples {
			if all[s.Name] == nil {
				all[s.Name] = &loadgen.Sample{Name: s.Name}
				names = append(names, s.Name)
			}
			all[s.Name].Add(s)
		}
	}
	return all, names
}

// measured is what ratios are made of: one number of a thing.
type measured struct {
	name string
	of   func(*loadgen.Sample) float64
}

func quantileOf(name string, q float64) measured {
	return measured{name, func(s *loadgen.Sample) float64 {
		if s.Latencies == nil || s.Latencies.Count() == 0 {
			return 0
		}
		return float64(s.Latencies.Quantile(q)) / float64(time.Microsecond)
	}}
}

// latencyMeasures and rateMeasures are those that ratios are printed of.
func latencyMeasures() []measured {
	return []measured{quantileOf("p50", 0.5), quantileOf("p90", 0.9), quantileOf("p99", 0.99), quantileOf("p99.9", 0.999)}
}

func rateMeasures() []measured {
	return []measured{{"mib_per_s", (*loadgen.Sample).BytesPerSecond}}
}

// value is a measure of one thing, or the sum over several of them; 0 if one is
// missing.
func (t totals) value(m measured, names ...string) float64 {
	all := 0.0
	for _, name := range names {
		s := t[name]
		if s == nil {
			return 0
		}
		v := m.of(s)
		if v <= 0 {
			return 0
		}
		all += v
	}
	return all
}

// ratio divides a measure of one thing by the same one of others; false if one is
// missing.
func (t totals) ratio(m measured, of string, to ...string) (float64, bool) {
	x, y := t.value(m, of), t.value(m, to...)
	if x <= 0 || y <= 0 {
		return 0, false
	}
	return x / y, true
}

// leg is what was measured in one go. half is "A" or "B".
type leg struct {
	round   int // from 1 on
	half    string
	samples []loadgen.Sample
}
