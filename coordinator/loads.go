package coordinator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/talos-log/talos/talos"
)

// MaxLoadPartitions bounds the partitions that a node tells the load of: its
// hottest.
const MaxLoadPartitions = 256

// Load is what a node says of its load.
type Load struct {
	AtMillis int64 `json:"at_ms"`
	// Partitions are the hottest.
	Partitions []PartitionLoad `json:"partitions,omitempty"`
	// The sums over all partitions of the node.
	BytesPerSecond   float64 `json:"bytes_per_s"`
	AppendsPerSecond float64 `json:"appends_per_s"`
}

// PartitionLoad is the load of one partition.
type PartitionLoad struct {
	Topic            talos.TopicID `json:"topic"`
	Partition        int32         `json:"partition"`
	BytesPerSecond   float64       `json:"bytes_per_s"`
	AppendsPerSecond float64       `json:"appends_per_s"`
}

// At is when the node said it, by its clock.
func (l Load) At() time.Time { return time.UnixMilli(l.AtMillis) }

func decodeLoad(e Entry) (Load, error) {
	return decode(e, func(l Load) error {
		if l.BytesPerSecond < 0 || math.IsInf(l.BytesPerSecond, 0) || l.AppendsPerSecond < 0 {
			return errors.New("a load is out of range")
		}
		return nil
	})
}

// ReportLoad tells the cluster this node's load, while it is registered.
func (m *Meta) ReportLoad(ctx context.Context, load Load) error {
	const op = "coordinator.ReportLoad"
	r := m.registered()
	if r == nil {
		return nil
	}
	if len(load.Partitions) > MaxLoadPartitions {
		load.Partitions = load.Partitions[:MaxLoadPartitions]
	}
	load.AtMillis = m.now().UnixMilli()
	key := loadKey(m.node.ID)
	value, err := encode(key, load)
	if err != nil {
		return err
	}
	_, err = m.kv.Commit(ctx, nil, []Op{PutBound(key, value, r.session.ID())})
	if err != nil && !errors.Is(err, ErrSessionEnded) {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}
