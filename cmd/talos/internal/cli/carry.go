package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	// carried counts them.
	carried int
	// pinned are the pins to take back; an operator's own stay.
	pinned []sdk.Pin
	own    map[partitionName]bool
}

type partitionName struct {
	topic     talos.TopicName
	partition int32
}

// carry moves all. It returns ctx's error if that ends first.
func (c *carrier) carry(ctx context.Context, moves []sdk.PlannedMove) error {
	todo, err := c.missing(ctx, moves)
	if err != nil {
		return err
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

// missing returns the moves that are not done already. Nothing has been changed
// when it finds one that can't be.
func (c *carrier) missing(ctx context.Context, moves []sdk.PlannedMove) ([]errand, error) {
	c.own = make(map[partitionName]bool)
	var todo []errand
	known := make(map[talos.TopicName]sdk.TopicPlacement)
	for _, m := range moves {
		topic, ok := known[m.Topic]
		if !ok {
			found, err := within(ctx, c.s, func(ctx context.Context) ([]sdk.TopicPlacement, error) { return c.client.Placement(ctx, m.Topic) })
			if err != nil {
				return nil, err
			}
			topic = found[0]
			known[m.Topic] = topic
		}
		if m.Partition < 0 || m.Partition >= topic.Topic.Partitions {
			return nil, &talos.Error{Kind: talos.UnknownPartition, Op: "cli.carry", Subject: fmt.Sprintf("%s/%d", m.Topic, m.Partition)}
		}
		p := topic.Partitions[m.Partition]
		if !c.keep && p.Pin != "" && p.Pin != m.To {
			return nil, pinnedElsewhere(m, p.Pin)
		}
		if p.Pin == m.To {
			c.own[partitionName{m.Topic, m.Partition}] = true
		}
		switch {
		case !arrived(p, m.To):
		case c.keep && p.Pin != m.To:
		default:
			if err := c.arrive(m, false); err != nil {
				return nil, err
			}
			continue
		}
		todo = append(todo, errand{m, cmp.Or(p.Next, p.Owner)})
	}
	return todo, nil
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
	c.carried++
	return c.done(m, moved)
}

// some moves a few.
func (c *carrier) some(ctx context.Context, moves []errand) error {
	pins, waiting := make([]sdk.Pin, 0, len(moves)), make(map[partitionName]sdk.PlannedMove, len(moves))
	var topics []talos.TopicName
	for _, m := range moves {
		pins = append(pins, sdk.Pin{Topic: m.Topic, Partition: m.Partition, Node: m.To})
		waiting[partitionName{m.Topic, m.Partition}] = m.PlannedMove
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
		return err
	}
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
		if len(waiting) > 0 && time.Since(changed) > carryStall {
			return false, stalled(waiting)
		}
		return len(waiting) == 0, nil
	})
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

func stalled(waiting map[partitionName]sdk.PlannedMove) error {
	for name, m := range waiting {
		return &hintedError{
			error: &talos.Error{
				Kind: talos.InvalidRequest, Op: "cli.carry", Subject: fmt.Sprintf("%s/%d", name.topic, name.partition),
				Detail: fmt.Sprintf("it does not move to %s", m.To),
			},
			hint: "that node may be away, draining, or unable to do its work: see `talos cluster status`",
		}
	}
	return nil
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
