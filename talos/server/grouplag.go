package server

import (
	"cmp"
	"slices"
	"time"

	"github.com/talos-log/talos/groups"
	"github.com/talos-log/talos/talos"
)

const (
	// lagInterval is how often a coordinator looks how far its groups are behind.
	lagInterval = 15 * time.Second
	// maxLags bounds the pairs of group and topic that metrics tell the lag of, of one
	// coordinator.
	maxLags = 200
	// maxLagPartitions bounds the partitions that a coordinator asks for at a time. The
	// pairs beyond it are unknown.
	maxLagPartitions = 20_000
)

type lagKey struct {
	group string
	topic talos.TopicID
}

// lagPair is a group and a topic that it has committed offsets of.
type lagPair struct {
	group     string
	topic     talos.Topic
	committed map[int32]talos.Offset
}

// partitions are all of the topic: what nothing is committed of is to be read, too.
func (p lagPair) partitions() []talos.PartitionID {
	all := make([]talos.PartitionID, p.topic.Partitions)
	for i := range all {
		all[i] = talos.PartitionID{Topic: p.topic.ID, Number: int32(i)}
	}
	return all
}

// lag returns the records that are not processed yet, and in how many partitions
// that can't be said.
func (p lagPair) lag(ranges map[talos.PartitionID]talos.OffsetRange) (records float64, unknown int) {
	for _, id := range p.partitions() {
		r, ok := ranges[id]
		if !ok {
			unknown++
			continue
		}
		// A partition without a committed offset counts from its start.
		records += float64(max(0, r.End-max(p.committed[id.Number], r.Start)))
	}
	return records, unknown
}

// lagged shows the lags of one coordinator. Its goroutine owns it, and waits for other
// nodes, for which nothing else of the coordinator does.
type lagged struct {
	cs    *coordinators
	c     *groupCoordinator
	shown map[[2]string]bool // by group and name of the topic
	// blind tells that in the last round a node did not answer.
	blind bool
}

func (l *lagged) run() {
	ticker := time.NewTicker(lagInterval)
	defer ticker.Stop()
	defer l.show(nil, nil)
	for {
		select {
		case <-ticker.C:
		case <-l.c.journal.Done():
			return
		case <-l.cs.ctx.Done():
			return
		}
		err := l.cs.term.node.guard("look how far consumer groups are behind", l.look)
		if err != nil && l.cs.ctx.Err() == nil {
			l.cs.term.node.cfg.Logger.Debug("the lag of consumer groups is told later", "coordinator", l.c.id.String(), "error", err)
		}
	}
}

func (l *lagged) look() error {
	var all []groups.Committed
	if err := l.c.journal.Do(l.cs.ctx, func(*groups.State) {}, func(s *groups.State) { all = s.Committed() }); err != nil {
		return err
	}
	pairs := l.pairs(all)
	var ids []talos.PartitionID
	asked := make(map[talos.TopicID]bool)
	for _, pair := range pairs {
		if !asked[pair.topic.ID] && len(ids)+int(pair.topic.Partitions) <= maxLagPartitions {
			asked[pair.topic.ID] = true
			ids = append(ids, pair.partitions()...)
		}
	}
	ranges, err := l.cs.peers.ranges(l.cs.ctx, ids)
	if l.cs.ctx.Err() != nil {
		return nil
	}
	l.show(pairs, ranges)
	if err != nil && !l.blind {
		l.cs.term.node.cfg.Logger.Warn("the lag of consumer groups is not known: nodes do not tell the ends of their partitions",
			"coordinator", l.c.id.String(), "error", err)
	}
	l.blind = err != nil
	return nil
}

// pairs are maxLags at the most, those that are shown already first: what is beyond
// maxLagPartitions is the same each time.
func (l *lagged) pairs(all []groups.Committed) (pairs []lagPair) {
	places := make(map[lagKey]int)
	l.sort(all)
	for _, o := range all {
		key := lagKey{o.Group, o.Partition.Topic}
		place, ok := places[key]
		if !ok {
			topic, exists := l.cs.term.view.TopicOf(o.Partition.Topic)
			if !exists || len(pairs) >= maxLags {
				continue
			}
			place = len(pairs)
			places[key] = place
			pairs = append(pairs, lagPair{o.Group, topic, make(map[int32]talos.Offset)})
		}
		pairs[place].committed[o.Partition.Number] = o.Offset
	}
	return pairs
}

// sort puts those that are shown already first, and the rest in one order, too.
func (l *lagged) sort(all []groups.Committed) {
	slices.SortFunc(all, func(a, b groups.Committed) int {
		return cmp.Or(l.rank(a)-l.rank(b), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Topic, b.Topic))
	})
}

func (l *lagged) rank(o groups.Committed) int {
	if l.shown[[2]string{o.Group, string(o.Topic)}] {
		return 0
	}
	return 1
}

// show shows the pairs, and no longer what was shown besides. A sum that lacks a
// partition is no lag: what is shown is how many are unknown.
func (l *lagged) show(pairs []lagPair, ranges map[talos.PartitionID]talos.OffsetRange) {
	lags, unknowns := l.c.metrics.groupLag, l.c.metrics.groupLagUnknown
	now := make(map[[2]string]bool, len(pairs))
	for _, pair := range pairs {
		labels := [2]string{pair.group, string(pair.topic.Name)}
		now[labels] = true
		records, unknown := pair.lag(ranges)
		unknowns.WithLabelValues(labels[:]...).Set(float64(unknown))
		if unknown > 0 {
			lags.DeleteLabelValues(labels[:]...)
			continue
		}
		lags.WithLabelValues(labels[:]...).Set(records)
	}
	for labels := range l.shown {
		if !now[labels] {
			lags.DeleteLabelValues(labels[:]...)
			unknowns.DeleteLabelValues(labels[:]...)
		}
	}
	l.shown = now
}
