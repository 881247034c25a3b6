package server

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
)

// opener opens one partition of a topic.
type opener func(ctx context.Context, topic talos.Topic, number int32) (*partition.Log, error)

// partitions are the partitions that the node owns, during one term. Each is
// opened in the background, once at a time:
//
//	         find, now ours          opened                 it moves
//	(none) ────────────────► opening ──────► open ───────────────────► leaving
//	   ▲                      ▲  │ failed      │ the log ended by itself   │
//	   │        find, later   │  ▼             │                           │ closed, and
//	   │                     resting ◄─────────┘                           │ the next owner's
//	   └───────────────────────────────────────────────────────────────────┘
//
// A partition that rests is answered with the error that it rests for. Another
// owner, the end of its topic, or of all, leads back to none from everywhere.
type partitions struct {
	open    opener
	meta    *coordinator.Meta
	view    *coordinator.View
	node    string
	logger  *slog.Logger
	metrics *serverMetrics
	// outcome hears of each attempt to open.
	outcome func(error)
	// ctx bounds the opening; stop ends it.
	ctx  context.Context
	stop context.CancelFunc
	// workers are the goroutines that open, configure, hand over and drop.
	workers sync.WaitGroup

	mu     sync.Mutex // guards the fields below, and the slots
	closed bool
	slots  map[talos.PartitionID]*slot
	// begun tells that reconcile has seen everything once.
	begun bool
	// owned are the assignments as reconcile saw them last.
	owned map[talos.TopicID]coordinator.Assignment
	// queue is what somebody wants and waits for a worker, in order; later is what
	// nobody has asked for yet.
	queue, later []*slot
	working      int
	live         int
	// releases are partitions that are closed, and wait for their next owner to be
	// told; releasing are the topics that are being written.
	releases  map[talos.TopicID][]*slot
	releasing map[talos.TopicID]bool
	looks     looks
}

// slot is what is known of one partition.
type slot struct {
	id talos.PartitionID
	// topic is what the topic is now; config is what log follows.
	topic  talos.Topic
	config talos.TopicConfig
	// log is the open log; nil while there is none.
	log    *partition.Log
	opened time.Time
	// opening is closed when the attempt under way is over; nil if there is none.
	// wanted tells that it is in the queue, or begun.
	opening       chan struct{}
	wanted, begun bool
	// err is why the last attempt failed, or the last log ended; failures counts
	// how often in a row, and retryAt is when the next attempt may begin.
	err      error
	failures int
	retryAt  time.Time
	// following is under way while log does not follow topic yet; nil if nobody sees to it.
	following *following
	// left is closed when a hand-over is over; nil if there is none.
	left chan struct{}
	// parked are batches that wait for what is under way.
	parked parked
	// dropped tells that the slot is no longer in the map.
	dropped bool
	counted counted
}

func newPartitions(ctx context.Context, open opener, node *Node) *partitions {
	ctx, stop := context.WithCancel(ctx)
	return &partitions{
		open: open, meta: node.cfg.Meta, view: node.cfg.Meta.View(), node: node.cfg.NodeID,
		logger: node.cfg.Logger, metrics: node.metrics, outcome: node.health.observe,
		ctx: ctx, stop: stop, slots: make(map[talos.PartitionID]*slot),
		owned:    make(map[talos.TopicID]coordinator.Assignment),
		releases: make(map[talos.TopicID][]*slot), releasing: make(map[talos.TopicID]bool),
		looks: make(looks),
	}
}

// found is what find knows of a partition: exactly one of log and err, and with
// NotServing for a partition that is on its way, opening, which is closed when it
// makes sense to ask again.
type found struct {
	log     *partition.Log
	opening <-chan struct{}
	err     error
	// counted counts what is appended to log.
	counted *counted
}

// find returns the log of a partition, and starts to open it if it is this node's
// and not open. It does not block.
func (p *partitions) find(id talos.PartitionID) found {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, f := p.findLocked(id)
	return f
}

func (p *partitions) findLocked(id talos.PartitionID) (*slot, found) {
	if p.closed {
		return nil, found{err: notServing(id, "the node gives its partitions up")}
	}
	s, ok := p.slots[id]
	if !ok {
		topic, f := p.mine(id)
		if f.err != nil {
			return nil, f
		}
		s = &slot{id: id, topic: topic}
		p.slots[id] = s
	}
	if s.left != nil {
		return s, found{opening: s.left, err: notServing(id, "it is being handed over")}
	}
	if s.log != nil {
		select {
		case <-s.log.Done():
			p.endedLocked(s)
		default:
			return s, found{log: s.log, counted: &s.counted}
		}
	}
	if s.opening == nil && time.Now().Before(s.retryAt) {
		return s, found{err: s.err}
	}
	p.startLocked(s, true)
	detail := ""
	if s.err != nil {
		detail = "the last attempt failed: " + s.err.Error()
	}
	return s, found{opening: s.opening, err: notServing(id, detail)}
}

// mine returns the topic of a partition that this node owns; else who may have it.
func (p *partitions) mine(id talos.PartitionID) (talos.Topic, found) {
	// Taken before the view is read, so that no change is missed.
	moved := p.view.Moved()
	topic, ok := p.view.TopicOf(id.Topic)
	switch {
	case !ok:
		return topic, p.denied(id, &talos.Error{
			Kind: talos.UnknownTopic, Op: "server.partitions", Subject: id.Topic.String(),
			Detail: "no topic has this id now",
		})
	case id.Number < 0 || id.Number >= topic.Partitions:
		return topic, p.denied(id, &talos.Error{
			Kind: talos.UnknownPartition, Op: "server.partitions",
			Subject: string(topic.Name) + "/" + strconv.FormatInt(int64(id.Number), 10),
		})
	}
	owner := p.view.Owner(id)
	if owner.Owner == p.node {
		return topic, found{}
	}
	f := found{err: notOurs(id, owner)}
	if owner.Member == nil {
		f.opening = moved
	}
	return topic, f
}

// denied is the answer about what the node has not heard of.
func (p *partitions) denied(id talos.PartitionID, err error) found {
	if wait, unsure := p.unheard(id.Topic); unsure {
		return found{opening: wait, err: notServing(id, "this node has not heard of it, and looks it up")}
	}
	return found{err: err}
}

// notOurs is the answer about a partition that another node owns, or nobody.
func notOurs(id talos.PartitionID, owner coordinator.Ownership) error {
	switch {
	case owner.Owner == "":
		return notServing(id, "it is not assigned to a node yet")
	case owner.Member != nil:
		return &talos.Error{
			Kind: talos.NotOwner, Op: "server.partitions", Subject: id.String(),
			Detail: "its owner is " + owner.Owner, Owner: &talos.Owner{Address: owner.Member.Address},
		}
	case owner.Restart != nil:
		return notServing(id, fmt.Sprintf("its owner %s is being restarted, and is expected back until %s",
			owner.Owner, owner.Restart.Until().UTC().Format(time.RFC3339)))
	default:
		return notServing(id, "its owner "+owner.Owner+" is gone, and another node takes over")
	}
}

// refused counts the partitions that rest since only an operator can mend them,
// by kind.
func (p *partitions) refused() map[string]float64 {
	counts := map[string]float64{
		string(talos.RestoredRecord): 0, string(talos.BrokenChain): 0, string(talos.CorruptSegment): 0,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.slots {
		if s.log != nil || s.err == nil {
			continue
		}
		kind := string(talos.KindOf(s.err))
		if _, ok := counts[kind]; ok {
			counts[kind]++
		}
	}
	return counts
}

func (p *partitions) setLiveLocked(n int) {
	p.live = n
	p.metrics.openPartitions.Set(float64(n))
}

func notServing(id talos.PartitionID, detail string) error {
	return &talos.Error{Kind: talos.NotServing, Op: "server.partitions", Subject: id.String(), Detail: detail}
}
