package moves_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// What many idle partitions cost three nodes and etcd, in one process, and how long
// the loss of a node takes. TALOS_IDLE says how many: TALOS_IDLE=10000.
func TestManyIdlePartitions(t *testing.T) {
	const topics, watched = 10, 30 * time.Second
	total, _ := strconv.Atoi(os.Getenv("TALOS_IDLE")) // not set: a few
	if total == 0 {
		total = 120
	}
	c := newCluster(t, localStores(t))
	for _, id := range []string{"a", "b", "c"} {
		c.start(id)
	}
	client, err := sdk.Dial(c.addresses())
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	began := time.Now()
	var made []talos.Topic
	for i := range topics {
		topic, err := client.CreateTopic(t.Context(), talos.TopicName(fmt.Sprintf("idle-%d", i)), int32(total/topics), talos.TopicConfig{})
		require.NoError(t, err)
		made = append(made, topic)
	}
	c.awaitServed(client, made)
	t.Logf("%d partitions are made and open after %v", total, time.Since(began).Round(time.Millisecond))
	c.await("all have their share", func() bool {
		least, most := total, 0
		for id := range c.nodes {
			owned, coming := c.watching.View().Owned(id)
			least, most = min(least, owned-coming), max(most, owned+coming)
		}
		return most-least <= 1
	})
	if os.Getenv("TALOS_IDLE") != "" {
		c.measureIdle(watched)
	}

	// c's registration goes, as after a crash: the others serve what it owned.
	lost, _ := c.watching.View().Owned("c")
	began = time.Now()
	c.loseSession("c")
	c.awaitServed(client, made)
	t.Logf("%d partitions that were lost are served again after %v", lost, time.Since(began).Round(time.Millisecond))
}

// awaitServed waits until all partitions of the topics have answered.
func (c *cluster) awaitServed(client *sdk.Client, topics []talos.Topic) {
	c.t.Helper()
	for _, topic := range topics {
		c.await("all partitions are served", func() bool {
			offsets, err := client.Offsets(c.t.Context(), topic.Name)
			if err != nil {
				return false
			}
			for _, o := range offsets {
				if o.Err != nil {
					return false
				}
			}
			return true
		})
	}
}

// measureIdle logs what the process does while nobody asks for anything.
func (c *cluster) measureIdle(d time.Duration) {
	c.t.Helper()
	revision := func() int64 {
		e, err := c.kv.Commit(c.t.Context(), nil, []coordinator.Op{coordinator.Put("/measure", nil)})
		require.NoError(c.t, err)
		return e
	}
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	entries, err := c.kv.List(c.t.Context(), "/talos/")
	require.NoError(c.t, err)
	bytes := 0
	for _, e := range entries {
		bytes += len(e.Key) + len(e.Value)
	}
	before, cpu := revision(), cpuTime(c.t)
	<-time.After(d)
	writes := revision() - before - 1
	c.t.Logf("idle: %.1f %% of one CPU, %d MiB of heap, %d goroutines; etcd has %d keys of %d KiB, %d writes in %v",
		100*(cpuTime(c.t)-cpu).Seconds()/d.Seconds(), memory.HeapAlloc>>20, runtime.NumGoroutine(), len(entries), bytes>>10, writes, d)
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
