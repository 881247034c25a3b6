package endurance_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/scene"
)

// soak is how much there is of it.
type soak struct {
	partitions int32
	lasts      time.Duration
	rate       int64 // bytes per second of all partitions
	segment    int64
	retention  int64         // bytes per partition
	killEvery  time.Duration // from one death of a DataNode to the next one's
	away       time.Duration // from a death until the DataNode is started again
}

const (
	// leastOfRate is the part of the offered rate that must be acknowledged.
	leastOfRate = 0.95
	// mostOnDisk bounds what the DataNodes have on disk.
	mostOnDisk = 10 << 30
	// mostGrowth bounds what the node's memory may grow by, from the second quarter of
	// the time to the last.
	mostGrowth = 1.25
)

func theSoak() soak {
	if long() {
		return soak{
			partitions: 4, lasts: 10 * time.Minute, rate: 24 << 20, segment: 64 << 20, retention: 128 << 20,
			killEvery: 30 * time.Second, away: 5 * time.Second,
		}
	}
	return soak{
		partitions: 2, lasts: 4 * time.Second, rate: 1 << 20, segment: 512 << 10, retention: 1 << 20,
		killEvery: 2 * time.Second,
	}
}

// An idempotent producer sends at a steady rate while one DataNode after the other
// is killed, and old records go. It may meet no error, and everything that is
// retained comes back.
func TestASoak(t *testing.T) {
	plan := theSoak()
	cluster := hadoop.ForTest(t)
	t.Cleanup(func() { cluster.Restore(t) })
	s := scene.New(t, scene.Config{
		Program: &released, Partitions: plan.partitions, Args: []string{"--store", cluster.URL() + "/soak?block-mib=96"},
		Topic: talos.TopicConfig{SegmentBytes: plan.segment, RetentionBytes: plan.retention},
	})
	client, err := sdk.Dial(s.Node.Address())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	producer, err := client.NewProducer(t.Context(), scene.Topic)
	require.NoError(t, err)

	ledger, stop, ended := newLedger(plan.partitions), make(chan struct{}), make(chan error, 1)
	ctx, cancel := within(t)
	defer cancel()
	begun := time.Now()
	go func() { ended <- ledger.produce(ctx, producer, plan.rate, stop) }()
	seen := plan.watch(t, s, cluster, ledger)
	close(stop)
	require.NoError(t, <-ended)
	took := time.Since(begun)
	require.NoError(t, producer.Close(ctx))
	require.NoError(t, ledger.failed, "what an idempotent producer was told")
	cluster.Restore(t)

	read, err := ledger.check(ctx, client, scene.Topic)
	require.NoError(t, err)
	kept := float64(ledger.acked*recordBytes) / (took.Seconds() * float64(plan.rate))
	all := metrics(t, s.Node)
	t.Logf("%d MiB in %v, %.1f %% of the offered rate; longest stall %v, slowest record %v",
		ledger.acked*recordBytes>>20, took.Round(time.Second), 100*kept, ledger.stall.Round(time.Millisecond), ledger.slowest.Round(time.Millisecond))
	t.Logf("%d DataNodes killed, %.0f segments made, %.0f broken; %d records retained, all came back", seen.kills,
		all["talos_hdfs_segments_created_total"], all["talos_hdfs_segments_broken_total"], read)
	second, last := seen.quarter(1), seen.quarter(3)
	t.Logf("memory: %d MiB in the second quarter, %d MiB in the last; at most %d MiB on disk", second>>20, last>>20, seen.disk>>20)
	if !long() {
		return
	}
	require.GreaterOrEqual(t, kept, leastOfRate, "of the offered rate")
	require.Less(t, float64(last), mostGrowth*float64(second), "memory grows")
	require.Less(t, seen.disk, int64(mostOnDisk), "retention does not keep up")
}

// seen is what was looked at meanwhile.
type seen struct {
	kills  int
	memory []int64 // of the node, each second
	disk   int64   // the most
}

// quarter is the median of the node's memory in one of four parts of the time.
func (s seen) quarter(i int) int64 {
	n := len(s.memory)
	part := slices.Sorted(slices.Values(s.memory[i*n/4 : max((i+1)*n/4, i*n/4+1)]))
	return part[len(part)/2]
}

// watch kills DataNodes in turns and starts them again, and looks at the node, until
// the time is up.
func (p soak) watch(t *testing.T, s *scene.Scene, cluster *hadoop.Cluster, l *ledger) (all seen) {
	t.Helper()
	ticker := time.NewTicker(min(time.Second, p.lasts/8))
	defer ticker.Stop()
	begun := time.Now()
	killed := begun
	var victim *hadoop.Daemon
	for looks := 0; time.Since(begun) < p.lasts; looks++ {
		<-ticker.C
		all.memory = append(all.memory, s.Node.Memory())
		if looks%10 == 0 {
			all.disk = max(all.disk, cluster.DataBytes(t))
		}
		if looks%30 == 29 {
			l.mu.Lock()
			t.Logf("after %v: %d MiB acknowledged, longest stall %v; memory %d MiB", time.Since(begun).Round(time.Second),
				l.acked*recordBytes>>20, l.stall.Round(time.Millisecond), s.Node.Memory()>>20)
			l.mu.Unlock()
		}
		switch {
		case victim != nil && time.Since(killed) >= p.away:
			victim.Start(t)
			victim = nil
		case victim == nil && time.Since(killed) >= p.killEvery:
			victim = cluster.DataNodes()[all.kills%len(cluster.DataNodes())]
			victim.Kill(t)
			all.kills++
			killed = time.Now()
		}
	}
	all.disk = max(all.disk, cluster.DataBytes(t))
	return all
}
