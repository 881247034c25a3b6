package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

const (
	// carriedAtOnce is how many partitions are asked to move together: enough to keep
	// the scheduler busy, few enough that stopping leaves little half done.
	carriedAtOnce = 32
	// carryStall is how long nothing may happen until a move counts as refused.
	carryStall = 2 * time.Minute
	// releaseTime bounds what is cleaned up after the end.
	releaseTime = 5 * time.Second
)

// placements is what an SDK client can do for a carrier.
type placements interface {
	Cluster(ctx context.Context) (sdk.ClusterStatus, error)
	Placement(ctx context.Context, topics ...talos.TopicName) ([]sdk.TopicPlacement, error)
	PinPartitions(ctx context.Context, pins ...sdk.Pin) error
}

// carrier moves partitions to where they should be, some at a time:
//
//	pin them ──► wait until they are there ──► unpin them ──► the next
//
// The cluster does the moving, so that stopping leaves nothing half done: what has
// begun ends by itself, and what has not never begins.
type carrier struct {
	s      *settings
	client placements
	// keep leaves the pins.
	keep bool
	// done is called for each partition that is where it should be; moved tells that
	// it had to move.
	done func(m sdk.PlannedMove, moved bool) error
	// carried are those; asked tells that the cluster was asked for moves.
	carried map[partitionName]bool
	asked   bool
	// pinned are the pins to take back; an operator's own stay.
	pinned []sdk.Pin
	own    map[partitionName]bool
}

type partitionName struct {
	topic     talos.TopicName
	partition int32
}

func nameOf(m sdk.PlannedMove) partitionName { return partitionName{m.Topic, m.Partition} }

// carry moves all. It returns ctx's error if that ends first. Nothing has been changed
// when it finds a move that can't be made before it begins.
func (c *carrier) carry(ctx context.Context, moves []sdk.PlannedMove) error {
	todo, there, err := c.missing(ctx, moves)
	if err != nil {
		return err
	}
	_, err = within(ctx, c.s, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.takers(ctx, moves) })
	if err != nil {
		return err
	}
	for _, m := range there {
		if err := c.arrive(m, false); err != nil {
			return err
		}
	}
	for _, lot := range lots(todo) {
		err := c.some(ctx, lot)
		// Also after an error, or when somebody has stopped this.
		if err := errors.Join(err, c.release(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// missing returns the moves that are not done already, and those that are.
func (c *carrier) missing(ctx context.Context, moves []sdk.PlannedMove) (todo []errand, there []sdk.PlannedMove, err error) {
	c.own = make(map[partitionName]bool)
	known := make(map[talos.TopicName]sdk.TopicPlacement)
	for _, m := range moves {
		topic, ok := known[m.Topic]
		if !ok {
			found, err := within(ctx, c.s, func(ctx context.Context) ([]sdk.TopicPlacement, error) { return c.client.Placement(ctx, m.Topic) })
			if err != nil {
				return nil, nil, err
			}
			topic = found[0]
			known[m.Topic] = topic
		}
		if m.Partition < 0 || m.Partition >= topic.Topic.Partitions {
			return nil, nil, &talos.Error{Kind: talos.UnknownPartition, Op: "cli.carry", Subject: fmt.Sprintf("%s/%d", m.Topic, m.Partition)}
		}
		p := topic.Partitions[m.Partition]
		if !c.keep && p.Pin != "" && p.Pin != m.To {
			return nil, nil, pinnedElsewhere(m, p.Pin)
		}
		if p.Pin == m.To {
			c.own[nameOf(m)] = true
		}
		switch {
		case !arrived(p, m.To):
		case c.keep && p.Pin != m.To:
		default:
			there = append(there, m)
			continue
		}
		todo = append(todo, errand{m, cmp.Or(p.Next, p.Owner)})
	}
	return todo, there, nil
}

// pinnedElsewhere refuses a move that an operator's pin would take back.
func pinnedElsewhere(m sdk.PlannedMove, pin string) error {
	return &hintedError{
		error: &talos.Error{
			Kind: talos.InvalidRequest, Op: "cli.carry", Subject: fmt.Sprintf("%s/%d", m.Topic, m.Partition),
			Detail: fmt.Sprintf("it is to go to %s, and is pinned to %s", m.To, pin),
		},
		hint: fmt.Sprintf("`talos partition move %s --partition %d --unpin` takes the pin back", m.Topic, m.Partition),
	}
}

func arrived(p sdk.PartitionPlacement, to string) bool { return p.Owner == to && p.Next == "" }

func (c *carrier) arrive(m sdk.PlannedMove, moved bool) error {
	if c.carried == nil {
		c.carried = make(map[partitionName]bool)
	}
	c.carried[nameOf(m)] = true
	return c.done(m, moved)
}

// maxUndone bounds the partitions that undone names.
const maxUndone = 5

// undone names those of the moves whose partitions are not where they should be.
func (c *carrier) undone(moves []sdk.PlannedMove) string {
	var names []string
	for _, m := range moves {
		if !c.carried[nameOf(m)] {
			names = append(names, moveName(m))
		}
	}
	words := strings.Join(names[:min(len(names), maxUndone)], ", ")
	if more := len(names) - maxUndone; more > 0 {
		words += fmt.Sprintf(" and %d more", more)
	}
	return words
}

// some moves a few.
func (c *carrier) some(ctx context.Context, moves []errand) error {
	pins, waiting := make([]sdk.Pin, 0, len(moves)), make(map[partitionName]sdk.PlannedMove, len(moves))
	var topics []talos.TopicName
	for _, m := range moves {
		pins = append(pins, sdk.Pin{Topic: m.Topic, Partition: m.Partition, Node: m.To})
		waiting[nameOf(m.PlannedMove)] = m.PlannedMove
		if !slices.Contains(topics, m.Topic) {
			topics = append(topics, m.Topic)
		}
	}
	for _, pin := range pins {
		if !c.keep && !c.own[partitionName{pin.Topic, pin.Partition}] {
			c.pinned = append(c.pinned, pin)
		}
	}
	if _, err := within(ctx, c.s, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, c.client.PinPartitions(ctx, pins...)
	}); err != nil {
		c.asked = c.asked || !refused(err)
		return err
	}
	c.asked = true
	changed := time.Now()
	return c.s.watched(ctx, func(ctx context.Context) (bool, error) {
		found, err := c.client.Placement(ctx, topics...)
		if err != nil {
			return false, err
		}
		before := len(waiting)
		if err := c.takeArrived(found, waiting); err != nil {
			return false, err
		}
		if len(waiting) < before {
			changed = time.Now()
		}
		if len(waiting) == 0 {
			return true, nil
		}
		left := inOrder(waiting)
		if time.Since(changed) > carryStall {
			return false, stalled(left[0])
		}
		return false, c.stay(ctx, left)
	})
}

// refused tells whether an error shows that no pin was set: the server looks at all of
// them first. After any other, some may be.
func refused(err error) bool {
	switch talos.KindOf(err) {
	case talos.UnknownNode, talos.UnschedulableNode, talos.UnknownTopic, talos.UnknownPartition:
		return true
	default:
		return false
	}
}

// takeArrived takes those that are where they should be out of waiting.
func (c *carrier) takeArrived(found []sdk.TopicPlacement, waiting map[partitionName]sdk.PlannedMove) error {
	for _, topic := range found {
		for _, p := range topic.Partitions {
			name := partitionName{topic.Topic.Name, p.Partition}
			m, ours := waiting[name]
			if !ours || !arrived(p, m.To) {
				continue
			}
			delete(waiting, name)
			if err := c.arrive(m, true); err != nil {
				return err
			}
		}
	}
	return nil
}

func inOrder(waiting map[partitionName]sdk.PlannedMove) []sdk.PlannedMove {
	moves := slices.Collect(maps.Values(waiting))
	sortMoves(moves)
	return moves
}

func stalled(m sdk.PlannedMove) error {
	return &hintedError{
		error: &talos.Error{
			Kind: talos.InvalidRequest, Op: "cli.carry", Subject: moveName(m), Detail: fmt.Sprintf("it does not move to %s", m.To),
		},
		hint: "`talos cluster status` shows what keeps it, and who plans; the scheduler's log says more",
	}
}

// release takes the pins back.
func (c *carrier) release(ctx context.Context) error {
	if len(c.pinned) == 0 {
		return nil
	}
	pins := slices.Clone(c.pinned)
	c.pinned = nil
	for i := range pins {
		pins[i].Node = ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	if err := c.client.PinPartitions(ctx, pins...); err != nil {
		return &hintedError{
			error: fmt.Errorf("%d pins could not be taken back, from %s/%d on: %w", len(pins), pins[0].Topic, pins[0].Partition, err),
			hint:  "`talos partition describe TOPIC` shows them, `talos partition move TOPIC --partition N --unpin` takes one back",
		}
	}
	return nil
}
