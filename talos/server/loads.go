package server

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/talos"
)

const (
	// loadInterval is how often a node says what its load is, if that has changed.
	loadInterval = 30 * time.Second
	// A load has changed if it is another by so much, and not next to nothing before
	// and after.
	loadChange   = 0.2
	leastLoad    = 10 << 10 // bytes per second
	leastAppends = 10.0     // per second
)

// counted is what was appended to one partition since it came here.
type counted struct {
	bytes, appends atomic.Int64
}

func (c *counted) add(bytes int) {
	c.bytes.Add(int64(bytes))
	c.appends.Add(1)
}

// tally is what a counted said at the last look.
type tally struct{ bytes, appends int64 }

// reportLoads tells the cluster this node's load until the term ends.
func (t *term) reportLoads() {
	ticker := time.NewTicker(loadInterval)
	defer ticker.Stop()
	last, lastAt := t.partitions.tallies(), time.Now()
	var told coordinator.Load
	for {
		select {
		case <-ticker.C:
		case <-t.ctx.Done():
			return
		}
		now, at := t.partitions.tallies(), time.Now()
		load := loadBetween(last, now, at.Sub(lastAt))
		last, lastAt = now, at
		if !changedNoticeably(told, load) {
			continue
		}
		if err := t.node.cfg.Meta.ReportLoad(t.ctx, load); err != nil {
			t.node.health.observe(err)
			continue
		}
		told = load
	}
}

func (p *partitions) tallies() map[talos.PartitionID]tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[talos.PartitionID]tally)
	for id, s := range p.slots {
		if n := s.counted.appends.Load(); n > 0 {
			all[id] = tally{s.counted.bytes.Load(), n}
		}
	}
	return all
}

// loadBetween is the load between two looks: the hottest partitions, and the sum.
func loadBetween(before, after map[talos.PartitionID]tally, took time.Duration) coordinator.Load {
	var load coordinator.Load
	for id, now := range after {
		old := before[id]
		if now.appends < old.appends {
			old = tally{} // it went and came back
		}
		one := coordinator.PartitionLoad{
			Topic: id.Topic, Partition: id.Number,
			BytesPerSecond:   math.Round(float64(now.bytes-old.bytes) / took.Seconds()),
			AppendsPerSecond: math.Round(float64(now.appends-old.appends)/took.Seconds()*10) / 10,
		}
		if one.AppendsPerSecond == 0 {
			continue
		}
		load.BytesPerSecond += one.BytesPerSecond
		load.AppendsPerSecond += one.AppendsPerSecond
		load.Partitions = append(load.Partitions, one)
	}
	slices.SortFunc(load.Partitions, func(a, b coordinator.PartitionLoad) int {
		return cmp.Or(cmp.Compare(b.BytesPerSecond, a.BytesPerSecond), cmp.Compare(b.AppendsPerSecond, a.AppendsPerSecond),
			slices.Compare(a.Topic[:], b.Topic[:]), cmp.Compare(a.Partition, b.Partition))
	})
	load.Partitions = load.Partitions[:min(len(load.Partitions), coordinator.MaxLoadPartitions)]
	return load
}

// changedNoticeably tells whether a load is worth a write: its sum, or that of one
// partition, is another.
func changedNoticeably(before, after coordinator.Load) bool {
	if differs(before.BytesPerSecond, after.BytesPerSecond, leastLoad) || differs(before.AppendsPerSecond, after.AppendsPerSecond, leastAppends) {
		return true
	}
	old := make(map[talos.PartitionID]float64, len(before.Partitions))
	for _, p := range before.Partitions {
		old[talos.PartitionID{Topic: p.Topic, Number: p.Partition}] = p.BytesPerSecond
	}
	for _, p := range after.Partitions {
		id := talos.PartitionID{Topic: p.Topic, Number: p.Partition}
		if differs(old[id], p.BytesPerSecond, leastLoad) {
			return true
		}
		delete(old, id)
	}
	for _, was := range old {
		if was >= leastLoad {
			return true
		}
	}
	return false
}

func differs(a, b, least float64) bool {
	return max(a, b) >= least && math.Abs(a-b) > loadChange*max(a, b)
}
