package coordinator

import (
	"context"
	"time"

	"github.com/talos-log/talos/talos"
)

// Assign makes owners the owners of a topic's partitions, as the scheduler would;
// those that are in next move there.
func (m *Meta) Assign(ctx context.Context, topic talos.TopicID, owners []string, next map[int32]string) error {
	a := Assignment{Owners: owners, Next: make(map[int32]Handover)}
	for number, to := range next {
		a.Next[number] = Handover{To: to, Since: time.UnixMilli(1)}
	}
	put, err := a.put(topic)
	if err != nil {
		return err
	}
	_, err = m.change(ctx, nil, []Op{put})
	return err
}
