package bench

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/talos-log/talos/internal/loadgen"
)

// Report is what a bench found. Its fields are the contract of `-o json`.
type Report struct {
	Workload   string   `json:"workload" doc:"produce, tail, catch-up or mixed"`
	Topic      string   `json:"topic" doc:"the topic that was used; it is gone unless --topic named it"`
	Partitions int32    `json:"partitions" doc:"how many partitions it has"`
	Size       int      `json:"size_bytes" doc:"the size of a record's value"`
	Codec      string   `json:"compression" doc:"the codec of the record batches"`
	Producers  int      `json:"producers" doc:"how many producers there were; 0 if it only read"`
	InFlight   int      `json:"in_flight" doc:"records that each keeps in flight; 0 in an open loop"`
	Rate       float64  `json:"rate_per_s" doc:"records per second of all producers; 0 in a closed loop"`
	Consumers  int      `json:"consumers" doc:"how many consumers there were"`
	Rounds     int      `json:"rounds" doc:"how often A and B were to be measured; legs has what was"`
	Results    []Result `json:"results" doc:"all legs together, in the order produce, consume, yardsticks"`
	Ratios     []Ratio  `json:"ratios" doc:"results of Talos divided by those of the yardsticks"`
	Legs       []Leg    `json:"legs" doc:"each leg, in the order of time"`
}

// Result is what was measured of one thing.
type Result struct {
	Name             string   `json:"name" doc:"produce or consume; or a yardstick: fdatasync, grpc, grpc_fetch"`
	Records          int64    `json:"records" doc:"records that were done (acknowledged, received), or operations of a yardstick"`
	Failed           int64    `json:"failed" doc:"records that were not; they count nowhere else"`
	Unsent           int64    `json:"unsent" doc:"records that were due in an open loop, and that the producers were too late to send"`
	Seconds          float64  `json:"seconds" doc:"how long it took, from the start to the last record"`
	RecordsPerSecond float64  `json:"records_per_s" doc:"records divided by seconds"`
	MiBPerSecond     float64  `json:"mib_per_s" doc:"MiB of values divided by seconds"`
	SpreadPercent    *float64 `json:"spread_percent" doc:"how far mib_per_s of A and B are apart, in percent of the smaller one; null for a single leg"`
	Latency          *Latency `json:"latency" doc:"how long each took; null if it is not measured"`
	Late             *Latency `json:"late" doc:"by how much records were sent after they were due, which is part of latency; null in a closed loop"`
}

// Latency has quantiles, in microseconds.
type Latency struct {
	P50  float64 `json:"p50_us" doc:"the median, in microseconds"`
	P90  float64 `json:"p90_us" doc:"9 of 10 took no longer"`
	P99  float64 `json:"p99_us" doc:"99 of 100 took no longer"`
	P999 float64 `json:"p999_us" doc:"999 of 1,000 took no longer"`
	Max  float64 `json:"max_us" doc:"the longest"`
}

// Ratio is a result of Talos divided by that of a yardstick.
type Ratio struct {
	Of            string   `json:"of" doc:"produce or consume"`
	To            string   `json:"to" doc:"the yardstick, or the sum of two: fdatasync+grpc"`
	Measure       string   `json:"measure" doc:"p50, p90, p99, p99.9 or mib_per_s"`
	Ratio         float64  `json:"ratio" doc:"the one divided by the other, over all legs"`
	SpreadPercent *float64 `json:"spread_percent" doc:"how far the ratios of A and B are apart, in percent of the smaller one; null if one is missing"`
}

// Leg is what was measured in one go.
type Leg struct {
	Round   int      `json:"round" doc:"from 1 on"`
	Half    string   `json:"half" doc:"A or B: they are the same thing"`
	Results []Result `json:"results" doc:"as above, of this leg"`
}

// fill puts in what was measured. It returns nil if no record failed; else the
// error says how many did, and wraps that of the first.
func (r *Report) fill(legs []leg, subjects []string) error {
	all, names := total(legs, "")
	a, _ := total(legs, halfA)
	b, _ := total(legs, halfB)
	r.Results, r.Ratios, r.Legs = []Result{}, ratios(all, a, b, subjects), []Leg{}
	failed, first := int64(0), error(nil)
	for _, name := range names {
		s := all[name]
		result := toResult(s)
		result.SpreadPercent = percent(spread(a.value(rateMeasures()[0], name), b.value(rateMeasures()[0], name)))
		r.Results = append(r.Results, result)
		failed += s.Failed
		if first == nil {
			first = s.Err
		}
	}
	for _, l := range legs {
		one := Leg{Round: l.round, Half: l.half, Results: []Result{}}
		for i := range l.samples {
			one.Results = append(one.Results, toResult(&l.samples[i]))
		}
		r.Legs = append(r.Legs, one)
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("records failed: %d, the first: %w", failed, first)
}

// ratios compares each of the subjects with each yardstick, and with the sum of
// those of latency: what a synchronous append can't be faster than.
func ratios(all, a, b totals, subjects []string) []Ratio {
	found := []Ratio{}
	compare := func(measures []measured, of string, to ...string) {
		for _, m := range measures {
			ratio, ok := all.ratio(m, of, to...)
			if !ok {
				continue
			}
			one := Ratio{Of: of, To: strings.Join(to, "+"), Measure: m.name, Ratio: rounded(ratio)}
			ratioA, okA := a.ratio(m, of, to...)
			ratioB, okB := b.ratio(m, of, to...)
			if okA && okB {
				one.SpreadPercent = percent(spread(ratioA, ratioB))
			}
			found = append(found, one)
		}
	}
	for _, of := range subjects {
		compare(latencyMeasures(), of, diskName)
		compare(latencyMeasures(), of, roundTripName)
		compare(latencyMeasures(), of, diskName, roundTripName)
		compare(rateMeasures(), of, fetchName)
	}
	return found
}

func toResult(s *loadgen.Sample) Result {
	return Result{
		Name: s.Name, Records: s.Records, Failed: s.Failed, Unsent: s.Unsent,
		Seconds:          rounded(s.Elapsed.Seconds()),
		RecordsPerSecond: rounded(s.RecordsPerSecond()),
		MiBPerSecond:     rounded(s.BytesPerSecond() / (1 << 20)),
		Latency:          toLatency(s.Latencies),
		Late:             toLatency(s.Late),
	}
}

// toLatency returns nil if nothing was measured.
func toLatency(l *loadgen.Latencies) *Latency {
	if l == nil || l.Count() == 0 {
		return nil
	}
	us := func(q float64) float64 { return rounded(float64(l.Quantile(q)) / float64(time.Microsecond)) }
	return &Latency{P50: us(0.5), P90: us(0.9), P99: us(0.99), P999: us(0.999), Max: us(1)}
}

func percent(value float64, ok bool) *float64 {
	if !ok {
		return nil
	}
	value = rounded(value)
	return &value
}

// rounded keeps three decimals: more would be noise.
func rounded(x float64) float64 { return math.Round(x*1000) / 1000 }
