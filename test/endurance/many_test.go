package endurance_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/process"
	"github.com/talos-log/talos/test/scene"
)

// many is how much there is of it.
type many struct {
	partitions int32
	budget     int // of open segments
	// every is the time from one append to a partition to its next one.
	every  time.Duration
	rounds int
	// idle: afterwards nothing is appended until every segment was sealed, and then
	// once more to each.
	idle bool
}

// idleLimit bounds the wait until all segments are sealed; it takes 5 minutes.
const idleLimit = 8 * time.Minute

// Each of many partitions gets an append now and then.
func TestManyPartitions(t *testing.T) {
	plans := []many{{partitions: 12, budget: 4, every: 300 * time.Millisecond, rounds: 2}}
	if long() {
		plans = []many{
			{partitions: 1000, budget: 1000, every: time.Minute, rounds: 4, idle: true},
			{partitions: 1000, budget: 500, every: time.Minute, rounds: 4},
		}
	}
	for _, p := range plans {
		t.Run(fmt.Sprintf("%d partitions, %d open segments", p.partitions, p.budget), p.run)
	}
}

func (p many) run(t *testing.T) {
	cluster := hadoop.ForTest(t)
	s := scene.New(t, scene.Config{
		Program: &released, Partitions: p.partitions,
		Args: []string{"--store", fmt.Sprintf("%s/many-%d?block-mib=32&open-segments=%d", cluster.URL(), p.budget, p.budget)},
	})
	client, err := sdk.Dial(s.Node.Address())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	producer, err := client.NewProducer(t.Context(), scene.Topic)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, producer.Close(context.WithoutCancel(t.Context()))) })

	p.round(t, s, producer, "the first append to each")
	before, calls, begun := metrics(t, s.Node), settled(t, cluster), time.Now()
	for range p.rounds {
		p.round(t, s, producer, "an append to each")
	}
	took := time.Since(begun)
	after, later := metrics(t, s.Node), settled(t, cluster)
	perHour := func(n float64) float64 { return n * float64(time.Hour) / float64(took) }
	t.Logf("an hour: %.0f segments made", perHour(created(after)-created(before)))
	for _, method := range slices.Sorted(maps.Keys(later)) {
		if n := later[method] - calls[method]; n > 0 {
			t.Logf("an hour: %.0f calls of the NameNode's %s", perHour(float64(n)), method)
		}
	}
	if !p.idle {
		return
	}
	slept := time.Now()
	require.Eventually(t, func() bool { return open(metrics(t, s.Node)) == 0 }, idleLimit, time.Second, "idle segments stay open")
	t.Logf("all segments were sealed %v after the last append", time.Since(slept).Round(time.Second))
	p.round(t, s, producer, "the first append to each after an idle close")
}

// round appends once to each partition, spread over the time, and reports what an
// append took. Every second the open segments are counted.
func (p many) round(t *testing.T, s *scene.Scene, producer *sdk.Producer, what string) {
	t.Helper()
	var (
		mu     sync.Mutex // guards took and failed
		took   []time.Duration
		failed error
		wg     sync.WaitGroup
	)
	ticker := time.NewTicker(p.every / time.Duration(p.partitions))
	defer ticker.Stop()
	most, looked := 0.0, time.Now()
	for partition := range p.partitions {
		<-ticker.C
		sent := time.Now()
		wg.Add(1)
		err := producer.Send(t.Context(), partition, talos.Record{Value: []byte(what), Timestamp: sent}, func(_ sdk.Delivery, err error) {
			defer wg.Done()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
				return
			}
			took = append(took, time.Since(sent))
		})
		require.NoError(t, err)
		if time.Since(looked) > min(time.Second, p.every/4) {
			looked = time.Now()
			most = max(most, open(metrics(t, s.Node)))
		}
	}
	wg.Wait()
	require.NoError(t, failed)
	slices.Sort(took)
	n := len(took)
	t.Logf("%s: p50 %v, p99 %v, longest %v; at most %.0f segments open", what,
		took[n/2].Round(10*time.Microsecond), took[n*99/100].Round(10*time.Microsecond), took[n-1].Round(10*time.Microsecond), most)
	// A segment beyond the budget is being sealed.
	p.awaitBudget(t, s.Node)
}

func (p many) awaitBudget(t *testing.T, n *process.Node) {
	t.Helper()
	require.Eventually(t, func() bool { return open(metrics(t, n)) <= float64(p.budget) }, scene.StepTimeout, 50*time.Millisecond,
		"more segments stay open than the budget of %d", p.budget)
}

func open(all map[string]float64) float64    { return all["talos_hdfs_open_segments"] }
func created(all map[string]float64) float64 { return all["talos_hdfs_segments_created_total"] }

// counterDelay is how late the NameNode's counters may be.
const counterDelay = 11 * time.Second

// settled are the NameNode's counters of calls; where figures matter, when they have
// counted everything.
func settled(t *testing.T, c *hadoop.Cluster) map[string]int64 {
	t.Helper()
	if long() {
		select {
		case <-time.After(counterDelay):
		case <-t.Context().Done():
		}
	}
	return c.Calls(t)
}
