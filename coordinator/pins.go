package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/talos-log/talos/talos"
)

// Pins are an operator's wishes for a topic: the node that a partition should be
// on, by partition.
type Pins map[int32]string

func decodePins(e Entry) (Pins, error) {
	stored, err := decode(e, func(stored map[string]string) error {
		for _, node := range stored {
			if node == "" {
				return errors.New("a node's id is empty")
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	pins := make(Pins, len(stored))
	for text, node := range stored {
		number, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, malformed(e, err)
		}
		pins[int32(number)] = node
	}
	return pins, nil
}

// Pin changes a topic's pins by what change makes of a copy, which it may be
// called for several times. UnknownTopic if there is none.
func (m *Meta) Pin(ctx context.Context, topic talos.TopicID, change func(Pins)) error {
	const op = "coordinator.Pin"
	return m.race(func() (bool, error) {
		entries, err := m.kv.Load(ctx, idKey(topic), pinsKey(topic))
		if err != nil {
			return false, fmt.Errorf("%s: %w", op, err)
		}
		if entries[0].Revision == 0 {
			return false, &talos.Error{Kind: talos.UnknownTopic, Op: op, Subject: topic.String()}
		}
		pins := Pins{}
		if entries[1].Revision != 0 {
			if pins, err = decodePins(entries[1]); err != nil {
				return false, err
			}
		}
		before := maps.Clone(pins)
		change(pins)
		if maps.Equal(before, pins) {
			return true, nil
		}
		write := Delete(entries[1].Key)
		if len(pins) > 0 {
			stored := make(map[string]string, len(pins))
			for number, node := range pins {
				stored[strconv.FormatInt(int64(number), 10)] = node
			}
			value, err := encode(entries[1].Key, stored)
			if err != nil {
				return false, err
			}
			write = Put(entries[1].Key, value)
		}
		revision, err := m.kv.Commit(ctx, []Cond{
			{Key: entries[0].Key, Revision: entries[0].Revision}, {Key: entries[1].Key, Revision: entries[1].Revision},
		}, []Op{write})
		if err != nil || revision == 0 {
			return false, err
		}
		m.awaitSeen(ctx, revision)
		return true, nil
	})
}
