package clusterbench

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/talos-log/talos/talos"
)

// idle has many partitions lie there, each with a record in an open segment, then
// kills a node.
func idle(ctx context.Context, l *lab) error {
	began := time.Now()
	if err := l.create(ctx, l.IdlePartitions, talos.TopicConfig{}); err != nil {
		return err
	}
	if err := l.awaitOffsets(ctx, ""); err != nil {
		return err
	}
	l.note("partitions", "", float64(l.IdlePartitions))
	l.note("time from the topic's creation until all serve", "s", time.Since(began).Seconds())
	if err := l.fill(ctx, l.IdlePartitions, recordBytes, 1); err != nil {
		return err
	}
	if err := pass(ctx, l.WarmUp); err != nil {
		return err
	}
	if err := l.idleCost(ctx); err != nil {
		return err
	}
	victim := l.nodes[0]
	if _, err := l.ownedBy(ctx, victim.ID); err != nil {
		return err
	}
	killed := time.Now()
	if err := kill(victim); err != nil {
		return err
	}
	if err := l.awaitOffsets(ctx, victim.ID); err != nil {
		return err
	}
	l.note("time until all serve after a kill", "s", time.Since(killed).Seconds())
	l.note("lease", "s", l.Lease.Seconds())
	return nil
}

// idleCost is what it costs that they are there.
func (l *lab) idleCost(ctx context.Context) (err error) {
	client, err := l.etcd.Client()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	before, err := l.usage()
	if err != nil {
		return err
	}
	first, err := client.Get(ctx, "", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	from := time.Now()
	if err := pass(ctx, l.Idle); err != nil {
		return err
	}
	after, err := l.usage()
	if err != nil {
		return err
	}
	took := time.Since(from).Seconds()
	all, err := client.Get(ctx, "", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	size := 0
	for _, kv := range all.Kvs {
		size += len(kv.Key) + len(kv.Value)
	}
	for i, n := range l.nodes {
		// They cost little if they aren't open: this says whether they are.
		open, err := n.Metric(ctx, "talos_server_open_partitions")
		if err != nil {
			return err
		}
		appenders, err := n.Metric(ctx, "talos_store_open_appenders")
		if err != nil {
			return err
		}
		l.note(n.ID+", open partitions", "", open)
		l.note(n.ID+", segments open for writing", "", appenders)
		l.note(n.ID+", processor, of one core", "%", 100*(after[i].processor-before[i].processor).Seconds()/took)
		l.note(n.ID+", resident memory", "MiB", float64(after[i].resident)/(1<<20))
	}
	l.note("etcd, keys", "", float64(all.Count))
	l.note("etcd, bytes of keys and values", "KiB", float64(size)/(1<<10))
	l.note("etcd, writes", "1/s", float64(all.Header.Revision-first.Header.Revision)/took)
	return nil
}
