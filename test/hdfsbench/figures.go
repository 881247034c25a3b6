package hdfsbench

import (
	"context"
	"slices"
	"time"
)

// workload is what both sides do in a leg, and the figures that come of it.
type workload struct {
	name string
	// slow: a leg takes much longer than what it measures.
	slow    bool
	run     func(ctx context.Context, c client, b *bench) (outcome, error)
	figures []figure
}

// figure is one number of a leg.
type figure struct {
	name  string
	unit  string
	value func(o outcome) float64
	// target is what Talos' median divided by Hadoop's shall be: at most that, or
	// with more set at least. 0: there is none.
	target float64
	more   bool
	// absolute: target is for Talos' median itself, which Hadoop may have nothing to
	// compare with.
	absolute bool
}

func workloads() []workload {
	appends := func(files int, sync bool) func(context.Context, client, *bench) (outcome, error) {
		return func(ctx context.Context, c client, b *bench) (outcome, error) {
			return c.append(ctx, load{files: files, size: appendBytes, sync: sync, lasts: b.plan.Leg})
		}
	}
	opens := func(sync bool) func(context.Context, client, *bench) (outcome, error) {
		return func(ctx context.Context, c client, b *bench) (outcome, error) { return c.open(ctx, b.plan.Opens, sync) }
	}
	return []workload{
		{name: "flush", run: appends(1, false), figures: []figure{
			{name: "1 KiB flush, p50", unit: "ms", value: percentile(50), target: 0.6},
			{name: "1 KiB flush, p99", unit: "ms", value: percentile(99), target: 0.5},
		}},
		{name: "sync", run: appends(1, true), figures: []figure{
			{name: "1 KiB sync, p50", unit: "ms", value: percentile(50), target: 0.85},
		}},
		{name: "16 files", run: appends(16, false), figures: []figure{
			{name: "16 files, 1 KiB flush, appends/s", unit: "1/s", value: rate, target: 1.4, more: true},
		}},
		{name: "128 files", run: appends(128, false), figures: []figure{
			{name: "128 files, 1 KiB flush, appends/s", unit: "1/s", value: rate, target: 1.15, more: true},
		}},
		{
			name: "streaming",
			run: func(ctx context.Context, c client, b *bench) (outcome, error) {
				return c.stream(ctx, b.plan.StreamBytes)
			},
			figures: []figure{{name: "streaming, one file, MiB/s", unit: "MiB/s", value: throughput, target: 1.3, more: true}},
		},
		{name: "opening", run: opens(true), figures: []figure{
			{name: "opening a segment, first bytes synced, p50", unit: "ms", value: percentile(50), target: 0.5},
		}},
		// Talos syncs a segment's first bytes whatever is promised for the others.
		{name: "opening flushed", run: opens(false), figures: []figure{
			{name: "opening a segment, Hadoop's first bytes only flushed, p50", unit: "ms", value: percentile(50)},
		}},
		{
			name: "DataNode killed",
			slow: true,
			run:  func(ctx context.Context, c client, b *bench) (outcome, error) { return b.killed(ctx, c) },
			figures: []figure{
				{name: "DataNode killed: longest pause", unit: "ms", value: percentile(50), target: 50, absolute: true},
				{name: "DataNode killed: old segment closed", unit: "ms", value: closed, target: 100, absolute: true},
			},
		},
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// percentile returns a figure in milliseconds.
func percentile(percent int) func(outcome) float64 {
	return func(o outcome) float64 {
		if len(o.each) == 0 {
			return 0
		}
		sorted := slices.Sorted(slices.Values(o.each))
		return milliseconds(sorted[(len(sorted)-1)*percent/100])
	}
}

func rate(o outcome) float64       { return float64(len(o.each)) / o.elapsed.Seconds() }
func throughput(o outcome) float64 { return float64(o.bytes) / (1 << 20) / o.elapsed.Seconds() }
func closed(o outcome) float64     { return milliseconds(o.closed) }
