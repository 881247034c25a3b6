package hdfs

import (
	"context"
	"sync"
	"time"

	"github.com/talos-log/talos/hdfs/internal/datanode"
	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// probeFirst and probeMost are the pauses between two probes for DataNodes
	// while segments have fewer replicas than wanted; see Options.ProbePause.
	probeFirst = 5 * time.Second
	probeMost  = time.Minute
	// probeTimeout bounds one probe.
	probeTimeout = 15 * time.Second
	// knockEvery is how often it is seen whether a DataNode that was gone listens
	// again, and the first pause when one does: it must tell the NameNode first.
	knockEvery = 500 * time.Millisecond
)

// upkeep watches for the DataNodes that segments with too few replicas wait for,
// and asks those segments to be rolled when they are back. Its goroutine lives
// while there is such a segment.
type upkeep struct {
	store *Store
	// first is the first pause between two probes.
	first time.Duration
	// probe is an error unless there are DataNodes for all replicas.
	probe func() error
	// knock tells whether a DataNode that did not listen before does.
	knock func() bool

	mu      sync.Mutex // guards running
	running bool
}

// watch makes sure that the goroutine runs.
func (u *upkeep) watch() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.running && u.store.ctx.Err() == nil {
		u.running = true
		u.store.work.Go(u.run)
	}
}

func (u *upkeep) run() {
	for pause := u.first; ; {
		pause = u.wait(pause)
		if u.store.ctx.Err() != nil || u.idle() {
			return
		}
		if err := u.probe(); err != nil {
			u.store.log.Info("segments still have fewer replicas than wanted", "wanted", u.store.replication, "reason", err)
			pause = min(2*pause, probeMost)
			continue
		}
		pause = u.first
		u.store.log.Info("enough DataNodes again: segments are rolled to get all replicas", "segments", u.store.open.rollDegraded())
	}
}

// wait waits for the next probe, and returns what it waited for: a short pause, if
// a DataNode is back.
func (u *upkeep) wait(pause time.Duration) time.Duration {
	due := time.NewTimer(pause)
	defer due.Stop()
	ticker := time.NewTicker(knockEvery)
	defer ticker.Stop()
	for {
		select {
		case <-due.C:
			return pause
		case <-ticker.C:
			if u.knock() {
				return knockEvery
			}
		case <-u.store.ctx.Done():
			return pause
		}
	}
}

// knockAll looks at the DataNodes that failed, and at those that were gone then.
func (s *Store) knockAll() (back bool) {
	ctx, cancel := context.WithTimeout(s.ctx, knockEvery)
	defer cancel()
	return s.nodes.knock(ctx, func(ctx context.Context, node *wire.DatanodeInfo) bool {
		return datanode.Listens(ctx, s.writing(s.client), node)
	})
}

// idle tells whether nobody waits, and then ends the goroutine's time.
func (u *upkeep) idle() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.running = u.store.open.anyDegraded()
	return !u.running
}

// probeAll probes for DataNodes for all replicas.
func (s *Store) probeAll() error {
	ctx, cancel := context.WithTimeout(s.ctx, probeTimeout)
	defer cancel()
	return s.probe(ctx, s.replication)
}
