package hdfs

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
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
	mu    sync.Mutex // guards the fields below
	until map[string]suspect
	// gone are those that did not listen when they were looked at.
	gone map[string]*wire.DatanodeInfo
}

type suspect struct {
	node *wire.DatanodeInfo
	end  time.Time
	// slow: it answers, so that this proves nothing. failed: it is not only slow.
	slow, failed bool
}

func newSuspects() *suspects {
	return &suspects{until: map[string]suspect{}, gone: map[string]*wire.DatanodeInfo{}}
}

// add adds one that failed, and tells whether that is news.
func (s *suspects) add(node *wire.DatanodeInfo) (news bool) { return s.suspect(node, false) }

// addSlow adds one that is to rest, though it answers.
func (s *suspects) addSlow(node *wire.DatanodeInfo) { s.suspect(node, true) }

func (s *suspects) suspect(node *wire.DatanodeInfo, slow bool) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	uuid := uuidOf(node)
	before, again := s.until[uuid]
	if !time.Now().Before(before.end) {
		before = suspect{}
	}
	if !again && len(s.until) >= maxSuspects {
		var oldest string
		for key, other := range s.until {
			if oldest == "" || other.end.Before(s.until[oldest].end) {
				oldest = key
			}
		}
		delete(s.until, oldest)
	}
	s.until[uuid] = suspect{
		node: node, end: time.Now().Add(suspicion),
		// One that breaks off while it rests for being slow goes on resting.
		slow: slow || before.slow, failed: !slow || before.failed,
	}
	return !slow && !before.failed
}

// trust forgets what was held against the nodes, but that they are slow.
func (s *suspects) trust(nodes []*wire.DatanodeInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, node := range nodes {
		if !s.until[uuidOf(node)].slow {
			delete(s.until, uuidOf(node))
		}
		delete(s.gone, uuidOf(node))
	}
}

// watched returns the suspects and those that are gone.
func (s *suspects) watched() []*wire.DatanodeInfo {
	nodes := s.list()
	s.mu.Lock()
	defer s.mu.Unlock()
	for uuid, node := range s.gone {
		if _, listed := s.until[uuid]; !listed {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// seen notes whether a node listens, and tells whether it was gone before.
func (s *suspects) seen(node *wire.DatanodeInfo, listens bool) (back bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	uuid := uuidOf(node)
	_, gone := s.gone[uuid]
	switch {
	case listens:
		delete(s.gone, uuid)
	case len(s.gone) < maxSuspects:
		s.gone[uuid] = node
	}
	return gone && listens
}

// knock sees who of the watched listens, all at once since one that is off takes
// all the time there is, and tells whether one does that was gone.
func (s *suspects) knock(ctx context.Context, listens func(context.Context, *wire.DatanodeInfo) bool) bool {
	var all sync.WaitGroup
	var back atomic.Bool
	for _, node := range s.watched() { // twice maxSuspects at most
		all.Go(func() {
			answers := listens(ctx, node)
			if errors.Is(ctx.Err(), context.Canceled) {
				return // the store is closed
			}
			// A process that is only slow has a system that answers for it, so one that says
			// nothing in time is on a host that is off.
			if s.seen(node, answers) {
				back.Store(true)
			}
		})
	}
	all.Wait()
	return back.Load()
}

// list returns those to leave out now.
func (s *suspects) list() []*wire.DatanodeInfo { return s.those(false) }

// listSlow returns those of them that are slow.
func (s *suspects) listSlow() []*wire.DatanodeInfo { return s.those(true) }

func (s *suspects) those(slowOnly bool) []*wire.DatanodeInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var nodes []*wire.DatanodeInfo
	for uuid, one := range s.until {
		if time.Now().After(one.end) {
			delete(s.until, uuid)
			continue
		}
		if one.slow || !slowOnly {
			nodes = append(nodes, one.node)
		}
	}
	return nodes
}

func uuidOf(node *wire.DatanodeInfo) string { return node.GetId().GetDatanodeUuid() }
