// Package metrics is the one list of what Talos counts: names, labels, meaning
// and buckets. docs/metrics.md is made of it, and what exports a metric makes it
// out of its entry here, so that neither can say what the other does not.
//
// It counts nothing itself, and keeps no registry: a Set is a
// prometheus.Collector that its owner registers. No label has a topic, a
// partition, a client or anything else that users make more of.
package metrics
