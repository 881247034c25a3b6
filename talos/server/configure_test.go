package server

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/talos"
)

// As many partitions as may follow their topic at a time hang in it. Another topic's
// configuration is followed all the same.
func TestAConfigurationDoesNotWaitForAnotherTopicsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		goes := make(chan struct{})
		defer close(goes)
		var hangs atomic.Pointer[string]
		n := c.start(t, "n1", func(cfg *Config) {
			cfg.Store = faulty.New(cfg.Store, func(call faulty.Call) faulty.Fault {
				if topic := hangs.Load(); topic != nil && strings.HasPrefix(call.ID.Folder, *topic+"/") && (call.Op == faulty.Append || call.Op == faulty.Create) {
					return faulty.Fault{Before: faulty.Hang(goes)}
				}
				return faulty.Fault{}
			})
		})
		stuck, other := n.createTopic(t, "stuck", maxOpening), n.createTopic(t, "other", 1)
		p := n.producer(t)
		p.produce(other, 0, newBatch(t, "x"))
		for number := range int32(maxOpening) {
			p.produce(stuck, number, newBatch(t, "x"))
		}
		topic := idOf(t, stuck).String()
		hangs.Store(&topic)
		for number := range int32(maxOpening) {
			p.send(stuck.GetId(), number, newBatch(t, "y"))
		}
		synctest.Wait()
		// As another node would: a change of this node's own waits for its partitions.
		_, err := n.meta.AlterTopic(t.Context(), "stuck", func(now talos.Topic) (talos.Topic, error) {
			now.Config.Durability = talos.Flush
			return now, nil
		})
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, maxOpening, n.behind(idOf(t, stuck)))

		begun := time.Now()
		_, err = n.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{Name: "other", Durability: talosv1.Durability_DURABILITY_FLUSH.Enum()})
		require.NoError(t, err)
		require.Zero(t, n.behind(idOf(t, other)))
		require.Less(t, time.Since(begun), time.Second)
		require.Equal(t, maxOpening, n.behind(idOf(t, stuck)))
	})
}

// behind counts the open partitions of a topic that do not follow it yet.
func (n *testNode) behind(id talos.TopicID) int {
	p := n.term.Load().partitions
	p.mu.Lock()
	defer p.mu.Unlock()
	count := 0
	for _, s := range p.slots {
		if s.id.Topic == id && s.log != nil && s.config != s.topic.Config {
			count++
		}
	}
	return count
}
