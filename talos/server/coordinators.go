package server

import (
	"context"
	"errors"
	"sync"

	"github.com/talos-log/talos/groups"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
)

// groupsTopic keeps the consumer groups; it is made with the first of them.
const groupsTopic talos.TopicName = talos.InternalPrefix + "groups"

// coordinators are those of the consumer groups whose partitions the node owns,
// during one term. One begins with the first request for its partition, and ends
// with its log: whoever owns the partition then goes on.
type coordinators struct {
	term    *term
	ctx     context.Context
	stop    context.CancelFunc
	workers sync.WaitGroup
	peers   *peers

	mu     sync.Mutex // guards the fields below
	closed bool
	all    map[talos.PartitionID]*groupCoordinator
}

func newCoordinators(t *term) *coordinators {
	c := &coordinators{term: t, peers: newPeers(t), all: make(map[talos.PartitionID]*groupCoordinator)}
	c.ctx, c.stop = context.WithCancel(t.ctx)
	return c
}

// close ends all.
func (cs *coordinators) close() {
	cs.mu.Lock()
	cs.closed = true
	cs.mu.Unlock()
	cs.stop()
	cs.workers.Wait()
	cs.peers.close()
}

// topicsChanged tells all coordinators that topics were made, changed or deleted.
func (cs *coordinators) topicsChanged() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.all {
		signal(c.changed)
	}
}

// of returns the coordinator of a group. The error names the right node if it is
// another one; UnknownGroup tells that there has never been a group, unless create
// is set.
func (cs *coordinators) of(ctx context.Context, group string, create bool) (*groupCoordinator, error) {
	topic, err := cs.topic(ctx, create)
	if err != nil {
		if errors.Is(err, talos.UnknownTopic) {
			err = &talos.Error{Kind: talos.UnknownGroup, Op: "server.coordinators", Subject: group}
		}
		return nil, err
	}
	return cs.at(ctx, talos.PartitionID{Topic: topic.ID, Number: groupPartition(group, topic.Partitions)})
}

// topic returns the internal topic; UnknownTopic if there is none, and none is to be.
func (cs *coordinators) topic(ctx context.Context, create bool) (talos.Topic, error) {
	node := cs.term.node
	topic, err := node.cfg.Meta.FindTopic(ctx, groupsTopic)
	if !create || !errors.Is(err, talos.UnknownTopic) {
		return topic, err
	}
	made := talos.Topic{Name: groupsTopic, ID: talos.NewTopicID(), Partitions: node.cfg.GroupPartitions}
	if err := cs.term.createTopic(ctx, made); err != nil && !errors.Is(err, talos.TopicExists) {
		return talos.Topic{}, err
	}
	return node.cfg.Meta.FindTopic(ctx, groupsTopic)
}

// at returns the coordinator of one partition, loaded.
func (cs *coordinators) at(ctx context.Context, id talos.PartitionID) (*groupCoordinator, error) {
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	log, err := cs.term.await(ctx, id.Topic[:], id.Number, 0)
	if err != nil {
		return nil, err
	}
	c, err := cs.ensure(id, log)
	if err != nil {
		return nil, err
	}
	select {
	case <-c.loaded:
		return c, c.err
	case <-ctx.Done():
		return nil, notServing(id, "its groups are being loaded")
	}
}

// ensure returns the coordinator over a log, and begins to load it if it is new.
func (cs *coordinators) ensure(id talos.PartitionID, log *partition.Log) (*groupCoordinator, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed {
		return nil, notServing(id, "the node gives its partitions up")
	}
	if c, ok := cs.all[id]; ok && c.log == log && !c.over() {
		return c, nil
	}
	c := &groupCoordinator{
		id: id, log: log, loaded: make(chan struct{}), changed: make(chan struct{}, 1),
		metrics: cs.term.node.metrics, proof: newProof(), waiters: waiters{all: make(map[groups.MemberKey]chan struct{})},
	}
	cs.all[id] = c
	state := groups.New(cs.term.node.cfg.Groups, cs.term.view.Topic)
	cs.workers.Go(func() {
		if c.load(cs.ctx, cs.term.node, state, &cs.workers); c.err == nil {
			cs.workers.Go((&lagged{cs: cs, c: c}).run)
			cs.follow(c)
		}
	})
	return c, nil
}

// size counts groups and members.
func (cs *coordinators) size() map[string]float64 {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	sum := groups.Counts{}
	for _, c := range cs.all {
		if counts := c.counts.Load(); counts != nil && !c.over() {
			sum.Groups += counts.Groups
			sum.Members += counts.Members
		}
	}
	return map[string]float64{"groups": float64(sum.Groups), "members": float64(sum.Members)}
}

// do runs a command at a coordinator; see journal.Do.
func (cs *coordinators) do(ctx context.Context, c *groupCoordinator, run, answer func(*groups.State)) error {
	err := c.journal.Do(ctx, run, answer)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return cs.moved(c, err)
}

// moved says where a coordinator that has ended here is now, if that is known.
func (cs *coordinators) moved(c *groupCoordinator, err error) error {
	if found := cs.term.partitions.find(c.id); found.err != nil {
		return found.err
	}
	return err
}

// refuseWrite keeps clients from writing Talos's own topics.
func (t *term) refuseWrite(op string, id talos.TopicID) error {
	own, ok := t.view.Topic(groupsTopic)
	if !ok || own.ID != id {
		return nil
	}
	return refuseInternal(op, own.Name)
}
