package clusterbench

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/process"
)

const (
	// maxTails bounds what is written, replicas included, in bytes.
	maxTails = 16 << 30
	// tailRecord is the size of a record that makes up a tail.
	tailRecord = 256 << 10
	// inFlight is the most that an owner may have under way of a partition: the window
	// of package partition.
	inFlight = 32 << 20
	// readBytes is the metric of what was read of the store.
	readBytes = `talos_store_bytes_total{operation="read"}`
)

// takeover kills the node that has all partitions, each with a segment that was not
// ended.
func takeover(ctx context.Context, l *lab) error {
	partitions := max(1, min(l.TailPartitions, int32(maxTails/(l.TailBytes*l.store.replicas))))
	if err := l.create(ctx, partitions, talos.TopicConfig{SegmentBytes: max(4*l.TailBytes, talos.MinSegmentBytes)}); err != nil {
		return err
	}
	victim := l.nodes[0]
	if err := l.pinAll(ctx, partitions, victim.ID); err != nil {
		return err
	}
	if err := l.fill(ctx, partitions, tailRecord, max(1, l.TailBytes/tailRecord)); err != nil {
		return err
	}
	before, err := l.read(ctx)
	if err != nil {
		return err
	}
	killed := time.Now()
	if err := kill(victim); err != nil {
		return err
	}
	if err := l.awaitOffsets(ctx, victim.ID); err != nil {
		return err
	}
	took := time.Since(killed)
	after, err := l.read(ctx)
	if err != nil {
		return err
	}
	l.note("partitions taken over", "", float64(partitions))
	l.note("tail of each", "MiB", float64(l.TailBytes)/(1<<20))
	l.note("time until all serve", "s", took.Seconds())
	l.note("lease", "s", l.Lease.Seconds())
	l.atMost("read per partition", "MiB", (after-before)/float64(partitions)/(1<<20), float64(inFlight+segment.CheckpointBytes)/(1<<20))
	return nil
}

// fill sends count records of size bytes to each partition.
func (l *lab) fill(ctx context.Context, partitions int32, size int, count int64) error {
	p, err := l.client.NewProducer(ctx, topic)
	if err != nil {
		return err
	}
	value := make([]byte, size)
	_, _ = rand.Read(value) // it never fails
	var mu sync.Mutex
	var failed error // guarded by mu
	for range count {
		for partition := range partitions {
			err := p.Send(ctx, partition, talos.Record{Value: value}, func(_ sdk.Delivery, err error) {
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, err)
			})
			if err != nil {
				return errors.Join(err, p.Close(ctx))
			}
		}
	}
	return errors.Join(p.Close(ctx), failed)
}

// read is what the nodes that are not killed have read of the store, in bytes.
func (l *lab) read(ctx context.Context) (all float64, err error) {
	for _, n := range l.survivors() {
		value, err := n.Metric(ctx, readBytes)
		if err != nil {
			return 0, err
		}
		all += value
	}
	return all, nil
}

func (l *lab) survivors() []*process.Server { return l.nodes[1:] }
