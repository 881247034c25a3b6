package hdfs

import (
	"sync"
	"time"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// maxSlowRolls bounds the segments that are rolled away from slow DataNodes within
	// slowRollEvery: a new segment costs five calls of the NameNode and an etcd
	// write, and a DataNode may have a part in each segment of a node.
	maxSlowRolls  = 20
	slowRollEvery = time.Second
)

// slowRolls throttles them. What is refused comes again while the DataNode is slow.
type slowRolls struct {
	mu    sync.Mutex // guards the fields below
	since time.Time
	n     int
}

func (r *slowRolls) allow() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.since) >= slowRollEvery {
		r.since, r.n = now, 0
	}
	r.n++
	return r.n <= maxSlowRolls
}

// onSlow is told of a DataNode that is slow, and for how long appends waited for it.
type onSlow = func(node *wire.DatanodeInfo, waited time.Duration)

// slow is called for a segment whose appends wait for one DataNode: the segment is
// to be rolled, and the DataNode is left out of new ones for a while. Where it can't
// be done without, nothing is done: the new segment would have it again.
func (a *appender) slow(node *wire.DatanodeInfo, waited time.Duration) {
	s := a.store
	if len(a.located.GetLocations()) <= s.minReplicas || !s.slowRolls.allow() {
		return
	}
	if s.open.rollOne(a.ticket) {
		s.metrics.slowRolls.Inc()
		s.nodes.addSlow(node)
		s.log.Warn("DataNode is slow, left out for a while", "datanode", address(node), "segment", a.file.path, "waited", waited)
	}
}
