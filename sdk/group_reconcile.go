package sdk

import (
	"context"
	"maps"
	"slices"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// reconcile makes what is read into what may be read: it drops what was lost, gives
// up what goes, and takes what comes. It returns when to look again.
func (g *Group) reconcile(ctx context.Context) (time.Duration, error) {
	const idle = time.Minute
	g.member.lapses()
	s := g.member.standing()
	switch {
	case s.fatal != nil:
		return 0, s.fatal
	case s.lost:
		g.drop(s.owned)
		return 0, nil
	case maps.Equal(s.owned, s.assigned):
		g.failures = 0
		return idle, nil
	}
	goes, comes := placedPartitions{}, placedPartitions{}
	for p, topic := range s.owned {
		if _, ok := s.assigned[p]; !ok {
			goes[p] = topic
		}
	}
	for p, topic := range s.assigned {
		if _, ok := s.owned[p]; !ok {
			comes[p] = topic
		}
	}
	err := g.giveUp(ctx, goes)
	if err == nil {
		err = g.takeOver(ctx, comes)
	}
	switch kind := talos.KindOf(err); {
	case err == nil:
		g.failures = 0
		return 0, nil
	case kind == talos.UnknownMember, kind == talos.FencedMember:
		return 0, nil // what was lost goes with the next look
	case talos.Retryable(err) || unreachable(kind):
		g.failures++
		return backoffAfter(g.failures - 1), nil
	default:
		return 0, err
	}
}

// drop forgets what others may read already.
func (g *Group) drop(owned placedPartitions) {
	g.stopReading(owned)
	g.offsets.forget(owned)
	g.member.dropped()
	if g.cfg.lost != nil && len(owned) > 0 {
		g.cfg.lost(owned.sorted())
	}
}

// giveUp stops reading partitions, commits what is processed of them, and says that
// they are free.
func (g *Group) giveUp(ctx context.Context, goes placedPartitions) error {
	if len(goes) == 0 {
		return nil
	}
	g.stopReading(goes)
	if g.cfg.revoked != nil {
		if err := g.cfg.revoked(ctx, goes.sorted()); err != nil {
			return err
		}
	}
	if err := g.offsets.flush(ctx); err != nil {
		return err
	}
	g.offsets.forget(goes)
	g.member.own(nil, goes)
	return nil
}

func (g *Group) stopReading(goes placedPartitions) {
	for p := range goes {
		r := g.readers[p.Topic]
		if r == nil {
			continue
		}
		r.removeSource(p.Number)
		if len(r.sources) == 0 {
			_ = r.Close() // it has no error
			delete(g.readers, p.Topic)
		}
	}
	g.pending = g.stillRead(g.pending)
}

// stillRead leaves out messages of partitions that are not read.
func (g *Group) stillRead(messages []Message) []Message {
	var kept []Message
	for _, m := range messages {
		if _, ok := g.place(m); ok {
			kept = append(kept, m)
		}
	}
	return kept
}

// place is the partition that a message came from.
func (g *Group) place(m Message) (talos.PartitionID, bool) {
	for id, r := range g.readers {
		if r.topic.Name == m.Topic && r.source(m.Partition) != nil {
			return talos.PartitionID{Topic: id, Number: m.Partition}, true
		}
	}
	return talos.PartitionID{}, false
}

// takeOver finds out where to go on in partitions, and begins to read them.
func (g *Group) takeOver(ctx context.Context, comes placedPartitions) error {
	if len(comes) == 0 {
		return nil
	}
	committed, err := g.offsets.fetch(ctx, comes)
	if err != nil {
		return err
	}
	byTopic := make(map[talos.TopicID][]int32)
	for p := range comes {
		byTopic[p.Topic] = append(byTopic[p.Topic], p.Number)
	}
	starts := make(map[talos.PartitionID]PartitionOffsets)
	layouts := make(map[talos.TopicID]layout)
	for id, numbers := range byTopic {
		slices.Sort(numbers)
		name := comes[talos.PartitionID{Topic: id, Number: numbers[0]}]
		where, err := g.client.layout(ctx, name)
		if err != nil || where.topic.ID != id {
			if err == nil || talos.KindOf(err) == talos.UnknownTopic {
				err = &talos.Error{Kind: talos.NotServing, Op: "sdk.Poll", Subject: string(name), Detail: "it was deleted, and goes from the group soon"}
			}
			return err
		}
		offsets, err := g.client.offsets(ctx, where, numbers, g.cfg.start.time)
		if err != nil {
			return err
		}
		layouts[id] = where
		for _, o := range offsets {
			if o.Err != nil {
				return o.Err
			}
			starts[talos.PartitionID{Topic: id, Number: o.Partition}] = o
		}
	}
	return g.startReading(ctx, comes, committed, starts, layouts)
}

func (g *Group) startReading(
	ctx context.Context, comes placedPartitions, committed map[talos.PartitionID]talos.Offset,
	offsets map[talos.PartitionID]PartitionOffsets, layouts map[talos.TopicID]layout,
) error {
	at := make(map[GroupPartition]talos.Offset)
	for p, topic := range comes {
		start, ok := committed[p]
		if !ok {
			start = g.cfg.start.in(offsets[p])
		}
		at[GroupPartition{topic, p.Number}] = start
	}
	if g.cfg.assigned != nil {
		if err := g.cfg.assigned(ctx, at); err != nil {
			return err
		}
	}
	for p, topic := range comes {
		r := g.readers[p.Topic]
		if r == nil {
			r = g.newReader(layouts[p.Topic].topic)
			g.readers[p.Topic] = r
		}
		o := offsets[p]
		r.sources = append(r.sources, &source{
			partition: p.Number, position: at[GroupPartition{topic, p.Number}], end: o.Range.End, epoch: o.Epoch,
			address: layouts[p.Topic].owner(p.Number), damaged: -1,
		})
	}
	g.member.own(comes, nil)
	return nil
}

// newReader is a consumer that reads what it is told to, and whose arrivals are the
// group's.
func (g *Group) newReader(topic talos.Topic) *Consumer {
	n := &Consumer{
		client: g.client, topic: topic, cfg: g.cfg.reading, limits: g.limits, links: make(map[string]*fetchLink), arrivals: g.arrivals,
		nextLook: time.Now().Add(g.client.cfg.metadataInterval),
	}
	n.ctx, n.end = context.WithCancel(g.ctx)
	return n
}

// removeSource stops reading a partition; what is on its way is of no use.
func (c *Consumer) removeSource(partition int32) {
	c.sources = slices.DeleteFunc(c.sources, func(s *source) bool {
		if s.partition == partition {
			s.seeks++
			return true
		}
		return false
	})
	c.turn = 0
}

// committedOffsets are the answer's.
func committedOffsets(answer *talosv1.FetchOffsetsResponse) map[talos.PartitionID]talos.Offset {
	all := make(map[talos.PartitionID]talos.Offset)
	for _, o := range answer.GetOffsets() {
		if len(o.GetTopicId()) == len(talos.TopicID{}) {
			all[talos.PartitionID{Topic: talos.TopicID(o.GetTopicId()), Number: o.GetPartition()}] = talos.Offset(o.GetOffset())
		}
	}
	return all
}
