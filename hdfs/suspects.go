package hdfs

import (
	"sync"
	"time"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// suspicion is how long a DataNode that failed is left out of new blocks.
	suspicion = 30 * time.Second
	// maxSuspects bounds how many are remembered; the oldest is forgotten first.
	maxSuspects = 64
)

// suspects are the DataNodes that failed lately. The NameNode goes on offering a
// dead one for minutes.
type suspects struct {
	mu    sync.Mutex // guards until
	until map[string]suspect
}

type suspect struct {
	node *wire.DatanodeInfo
	end  time.Time
}

func newSuspects() *suspects { return &suspects{until: map[string]suspect{}} }

func (s *suspects) add(node *wire.DatanodeInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.until) >= maxSuspects {
		var oldest string
		for uuid, other := range s.until {
			if oldest == "" || other.end.Before(s.until[oldest].end) {
				oldest = uuid
			}
		}
		delete(s.until, oldest)
	}
	s.until[uuidOf(node)] = suspect{node: node, end: time.Now().Add(suspicion)}
}

// trust forgets what was held against the nodes.
func (s *suspects) trust(nodes []*wire.DatanodeInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, node := range nodes {
		delete(s.until, uuidOf(node))
	}
}

// list returns those to leave out now.
func (s *suspects) list() []*wire.DatanodeInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var nodes []*wire.DatanodeInfo
	for uuid, one := range s.until {
		if time.Now().After(one.end) {
			delete(s.until, uuid)
			continue
		}
		nodes = append(nodes, one.node)
	}
	return nodes
}

func uuidOf(node *wire.DatanodeInfo) string { return node.GetId().GetDatanodeUuid() }
