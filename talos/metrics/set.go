package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Set makes metrics out of the list, and is the prometheus.Collector of those
// that it made: one registration for all. Make them before it is registered.
//
// A name that is not in the list, or of another type or with other labels, is a
// fault in the caller's code that its first test shows: the methods panic.
type Set struct {
	collectors []prometheus.Collector
}

// Describe implements prometheus.Collector.
func (s *Set) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range s.collectors {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (s *Set) Collect(ch chan<- prometheus.Metric) {
	for _, c := range s.collectors {
		c.Collect(ch)
	}
}

// Counter makes a counter without labels.
func (s *Set) Counter(name string) prometheus.Counter {
	d := find(name, Counter, 0)
	return add(s, prometheus.NewCounter(prometheus.CounterOpts{Name: d.Name, Help: d.Help}))
}

// Counters makes a counter for each value of its labels.
func (s *Set) Counters(name string, labels int) *prometheus.CounterVec {
	d := find(name, Counter, labels)
	return add(s, prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.Name, Help: d.Help}, d.Labels))
}

// Gauge makes a gauge without labels.
func (s *Set) Gauge(name string) prometheus.Gauge {
	d := find(name, Gauge, 0)
	return add(s, prometheus.NewGauge(prometheus.GaugeOpts{Name: d.Name, Help: d.Help}))
}

// Gauges makes a gauge for each value of its labels.
func (s *Set) Gauges(name string, labels int) *prometheus.GaugeVec {
	d := find(name, Gauge, labels)
	return add(s, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: d.Name, Help: d.Help}, d.Labels))
}

// Counted adds a gauge of one label whose values are asked for at each scrape.
func (s *Set) Counted(name string, values func() map[string]float64) {
	d := find(name, Gauge, 1)
	s.collectors = append(s.collectors, counted{prometheus.NewDesc(d.Name, d.Help, d.Labels, nil), values})
}

// Histogram makes a histogram without labels.
func (s *Set) Histogram(name string) prometheus.Histogram {
	d := find(name, Histogram, 0)
	return add(s, prometheus.NewHistogram(prometheus.HistogramOpts{Name: d.Name, Help: d.Help, Buckets: d.Buckets}))
}

// Histograms makes a histogram for each value of its labels.
func (s *Set) Histograms(name string, labels int) *prometheus.HistogramVec {
	d := find(name, Histogram, labels)
	return add(s, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.Name, Help: d.Help, Buckets: d.Buckets}, d.Labels))
}

func add[C prometheus.Collector](s *Set, c C) C {
	s.collectors = append(s.collectors, c)
	return c
}

func find(name string, t Type, labels int) Description {
	i := slices.IndexFunc(all, func(d Description) bool { return d.Name == name })
	if i < 0 || all[i].Type != t || len(all[i].Labels) != labels {
		//nolint:forbidigo // only the source can cause it, and any test that makes the set sees it
		panic("metrics: the list has no " + string(t) + " " + name + " with that many labels")
	}
	return all[i]
}

// counted is a gauge that is computed when it is asked for.
type counted struct {
	desc   *prometheus.Desc
	values func() map[string]float64
}

func (c counted) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

func (c counted) Collect(ch chan<- prometheus.Metric) {
	for label, value := range c.values() {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, value, label)
	}
}
