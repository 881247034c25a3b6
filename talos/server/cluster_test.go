package server

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/coordinator"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/talos"
)

// A topic that two nodes are asked for at the same time is made once, and both know
// it afterwards. Its data goes once it was deleted through either.
func TestTopicsAreMadeOnceThroughAnyNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		nodes := []*testNode{c.start(t, "n1"), c.start(t, "n2")}
		for _, name := range []string{"a", "b", "c", "d"} {
			var made atomic.Int32
			var asking sync.WaitGroup
			for _, n := range nodes {
				asking.Go(func() {
					_, err := n.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{Name: name, Partitions: 4})
					if err == nil {
						made.Add(1)
					} else if e := detail(t, err); e.GetKind() != string(talos.TopicExists) {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			asking.Wait()
			require.EqualValues(t, 1, made.Load(), name)
		}
		partitions := int32(9)
		for i, n := range nodes {
			listed, err := n.admin.ListTopics(t.Context(), &talosv1.ListTopicsRequest{})
			require.NoError(t, err)
			require.Len(t, listed.GetTopics(), 4)
			altered, err := n.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{Name: "a", Partitions: &partitions})
			require.NoError(t, err)
			require.EqualValues(t, 9, altered.GetTopic().GetPartitions(), "node %d", i)
		}
		for i, name := range []string{"a", "b", "c", "d"} {
			_, err := nodes[i%2].admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: name})
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool {
			deleted, err := nodes[0].meta.Deleted(t.Context())
			listing, listErr := c.store.List(t.Context(), "")
			return errors.Join(err, listErr) == nil && len(deleted) == 0 && len(listing.Folders) == 0
		}, time.Minute, 10*time.Millisecond)
	})
}

// A node that has not heard yet of a topic, or of more partitions, though it is to
// serve them, does not say that there are none.
func TestANodeThatHearsLateDeniesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		first, second := c.start(t, "n1"), c.start(t, "n2")
		synctest.Wait()
		ask := func(topic []byte, partition int32) *talosv1.ListedOffsets {
			answer, err := second.log.ListOffsets(t.Context(), &talosv1.ListOffsetsRequest{
				Partitions: []*talosv1.ListOffsetsPartition{{TopicId: topic, Partition: partition}},
			})
			require.NoError(t, err)
			return answer.GetPartitions()[0]
		}
		var topic *talosv1.Topic
		for round, change := range []func(){
			func() { topic = first.createTopic(t, "logs", 8) },
			func() {
				more := int32(16)
				_, err := first.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{Name: "logs", Partitions: &more})
				require.NoError(t, err)
			},
		} {
			hears := make(chan struct{})
			c.deaf.Store("n2", hears)
			change()
			time.AfterFunc(time.Second, func() {
				c.deaf.Delete("n2")
				close(hears)
			})
			var kinds []string
			for p := range int32(8) {
				if e := ask(topic.GetId(), int32(8*round)+p).GetError(); e != nil {
					kinds = append(kinds, e.GetKind())
				}
			}
			require.NotContains(t, kinds, string(talos.UnknownTopic))
			require.NotContains(t, kinds, string(talos.UnknownPartition))
			<-time.After(lookLife)
		}
		require.Equal(t, string(talos.UnknownPartition), ask(topic.GetId(), 16).GetError().GetKind())
		nobody := talos.NewTopicID()
		require.Equal(t, string(talos.UnknownTopic), ask(nobody[:], 0).GetError().GetKind())
	})
}

// A node that can't ask, or is asked for too many names at once, does not deny.
func TestANodeThatCanNotAskDeniesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		n := c.start(t, "n1")
		ask := func() string {
			nobody := talos.NewTopicID()
			return n.fetch(t, nobody[:], 0, 0, 0).GetError().GetKind()
		}
		for range maxLooks {
			ask() // it may be looked up before the answer, or not
		}
		require.Equal(t, string(talos.NotServing), ask())
		<-time.After(lookLife)
		c.away.Store(true)
		nobody := talos.NewTopicID()
		for range 2 {
			require.Equal(t, string(talos.NotServing), n.fetch(t, nobody[:], 0, 0, 0).GetError().GetKind())
			synctest.Wait()
		}
		c.away.Store(false)
		<-time.After(lookLife)
		require.Equal(t, string(talos.UnknownTopic), n.fetch(t, nobody[:], 0, 0, patience).GetError().GetKind())
	})
}

// While a partition moves, batches wait for it, in order: where it was until that
// node can tell where to, and where it goes until it is open.
func TestBatchesWaitForAPartitionThatMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, gate := newGated()
		first := c.start(t, "n1")
		topic := first.createTopic(t, "logs", 1)
		p := first.producer(t)
		p.produce(topic, 0, newBatch(t, "a"))
		second := c.start(t, "n2")
		hold := make(chan struct{})
		gate.set(hold, nil)
		require.NoError(t, first.meta.Pin(t.Context(), idOf(t, topic), func(pins coordinator.Pins) { pins[0] = "n2" }))
		require.Eventually(t, func() bool { return second.owners(t, topic)[0] == "n2" }, patience, time.Millisecond)

		p.send(topic.GetId(), 0, newBatch(t, "too late here"))
		e := p.receive().GetError()
		require.Equal(t, string(talos.NotOwner), e.GetKind())
		require.Equal(t, "n2.example:7070", e.GetOwnerAddress())
		next := second.producer(t)
		for _, value := range []string{"b", "c", "d"} {
			next.send(topic.GetId(), 0, newBatch(t, value))
		}
		<-time.After(parkTime / 2)
		close(hold)
		gate.set(nil, nil)
		for i := range int64(3) {
			require.Equal(t, i+1, next.receive().GetAppended().GetBaseOffset())
		}
		require.Equal(t, []string{"0 a", "1 b", "2 c", "3 d"}, second.all(t, topic.GetId(), 0))
		require.InDelta(t, 1, first.value(t, "talos_server_handed_over_total"), 0)
	})
}

// A takeover takes longer than a batch may wait: who comes again waits again, and
// is there the moment it is open. But nothing waits for what takes all too long.
func TestBatchesWaitAgainForAPartitionThatTakesItsTime(t *testing.T) {
	for what, rounds := range map[string]int{"for long": 3, "for too long": int(parkLimit / parkTime)} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, gate := newGated()
				first := c.start(t, "n1")
				topic := first.createTopic(t, "logs", 1)
				first.producer(t).produce(topic, 0, newBatch(t, "a"))
				second := c.start(t, "n2")
				hold := make(chan struct{})
				gate.set(hold, nil)
				require.NoError(t, first.meta.Pin(t.Context(), idOf(t, topic), func(pins coordinator.Pins) { pins[0] = "n2" }))
				require.Eventually(t, func() bool { return second.owners(t, topic)[0] == "n2" }, patience, time.Millisecond)

				p := second.producer(t)
				waited := func() time.Duration {
					begun := time.Now()
					p.send(topic.GetId(), 0, newBatch(t, "b"))
					require.Equal(t, string(talos.NotServing), p.receive().GetError().GetKind())
					return time.Since(begun)
				}
				for range rounds {
					require.Equal(t, parkTime, waited())
				}
				if time.Duration(rounds)*parkTime >= parkLimit {
					require.Zero(t, waited())
					close(hold)
					return
				}
				p.send(topic.GetId(), 0, newBatch(t, "b"))
				<-time.After(parkTime / 2)
				close(hold)
				require.EqualValues(t, 1, p.receive().GetAppended().GetBaseOffset())
			})
		})
	}
}

// A node that can't reach the store for long says so, and the other one gets its
// partitions; until it can again.
func TestANodeWithoutAStoreGivesItsPartitionsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		var cut atomic.Bool
		first := c.start(t, "n1", func(cfg *Config) {
			cfg.Store = faulty.New(cfg.Store, func(faulty.Call) faulty.Fault {
				if cut.Load() {
					return faulty.Fault{Before: faulty.Fail(errors.New("connection refused"))}
				}
				return faulty.Fault{}
			})
		})
		second := c.start(t, "n2")
		topic := second.createTopic(t, "logs", 4)
		second.awaitShared(t, topic, "n1", "n2")
		cut.Store(true)
		began := time.Now()
		require.Eventually(t, func() bool { return second.shared(t, topic, "n2") }, 2*time.Minute, time.Second)
		require.Greater(t, time.Since(began), DefaultStoreGrace)
		member, ok := second.meta.View().Member("n1")
		require.True(t, ok)
		require.NotNil(t, member.Unfit)
		require.Contains(t, member.Unfit.Reason, "connection refused")
		require.Error(t, first.Ready())

		cut.Store(false)
		require.Eventually(t, func() bool { return second.shared(t, topic, "n1", "n2") }, 2*time.Minute, time.Second)
		require.NoError(t, first.Ready())
	})
}

// A node that may have been heard to be unfit, though it had no answer, says that it
// is well again.
func TestANodeIsFitAgainThoughItDidNotKnowThatItWasNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		var cut atomic.Bool
		n := c.start(t, "n1", func(cfg *Config) {
			cfg.Store = faulty.New(cfg.Store, func(faulty.Call) faulty.Fault {
				if cut.Load() {
					return faulty.Fault{Before: faulty.Fail(errors.New("connection refused"))}
				}
				return faulty.Fault{}
			})
		})
		topic := n.createTopic(t, "logs", 1)
		unfit := func() bool {
			member, _ := n.meta.View().Member("n1")
			return member.Unfit != nil
		}
		cut.Store(true)
		c.loseRegistration.Store(true)
		require.Eventually(t, unfit, 2*time.Minute, time.Millisecond)
		cut.Store(false)
		n.producer(t).produce(topic, 0, newBatch(t, "a"))
		require.Eventually(t, func() bool { return !unfit() }, time.Minute, time.Second)
	})
}

// A store that says nothing is in trouble, though a listing succeeds: the node says
// so, while batches wait, and is well again when it has stored something.
func TestANodeWhoseStoreHangsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		var hangs atomic.Bool
		goes := make(chan struct{})
		n := c.start(t, "n1", func(cfg *Config) {
			cfg.Store = faulty.New(cfg.Store, func(call faulty.Call) faulty.Fault {
				if hangs.Load() && call.Op == faulty.Append {
					return faulty.Fault{Before: faulty.Hang(goes)}
				}
				return faulty.Fault{}
			})
		})
		trouble := func() string {
			answer, err := n.operator(t).DescribeCluster(t.Context(), &talosv1.DescribeClusterRequest{})
			require.NoError(t, err)
			return answer.GetTrouble()
		}
		topic := n.createTopic(t, "logs", 1)
		p := n.producer(t)
		p.produce(topic, 0, newBatch(t, "a"))
		<-time.After(time.Hour)
		require.NoError(t, n.Ready(), "nobody wants anything")
		hangs.Store(true)
		p.send(topic.GetId(), 0, newBatch(t, "b"))
		<-time.After(silenceLimit + 2*probeInterval)
		require.ErrorContains(t, n.Ready(), "no append has been answered for 1")
		require.Contains(t, trouble(), "no append has been answered for 1")
		hangs.Store(false)
		close(goes)
		require.EqualValues(t, 1, p.receive().GetAppended().GetBaseOffset())
		require.NoError(t, n.Ready())
		require.Empty(t, trouble())
	})
}

// Without etcd a node's view may be old, and it says so.
func TestANodeWithoutTheCoordinatorSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		n := c.start(t, "n1")
		c.away.Store(true)
		<-time.After(2 * probeInterval)
		answer, err := n.operator(t).DescribeCluster(t.Context(), &talosv1.DescribeClusterRequest{})
		require.NoError(t, err)
		require.Contains(t, answer.GetTrouble(), errNoAnswer.Detail)
		c.away.Store(false)
		<-time.After(2 * probeInterval)
		require.NoError(t, n.Ready())
	})
}

// A node that is marked for a restart keeps its partitions while it is away, and
// the others say that it will be back.
func TestWhileANodeIsRestartedItsPartitionsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		first, second := c.start(t, "n1"), c.start(t, "n2")
		topic := second.createTopic(t, "logs", 4)
		owners := second.awaitShared(t, topic, "n1", "n2")
		require.NoError(t, second.meta.Restart(t.Context(), "n1", time.Now().Add(time.Minute)))
		require.NoError(t, first.stop())
		var away int32
		for p, owner := range owners {
			if owner == "n1" {
				away = int32(p)
			}
		}
		require.Eventually(t, func() bool { return second.owners(t, topic)[away] == "" }, patience, time.Millisecond)
		e := second.fetch(t, topic.GetId(), away, 0, 0).GetError()
		require.Equal(t, string(talos.NotServing), e.GetKind())
		require.Contains(t, e.GetMessage(), "being restarted")
		require.Equal(t, "n1", second.meta.View().Owner(talos.PartitionID{Topic: idOf(t, topic), Number: away}).Owner)

		c.start(t, "n1").producer(t).produce(topic, away, newBatch(t, "a"))
		require.Equal(t, owners, second.owners(t, topic))
	})
}

// A node that was to restart, and did not within the time, is like any other one
// again: nobody says for ever that it is about to, and when it ends, much later or at
// that moment, it hands its partitions over.
func TestARestartThatDidNotComeIsForgotten(t *testing.T) {
	for name, after := range map[string]time.Duration{"at that moment": time.Minute, "much later": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster()
				first, second := c.start(t, "n1"), c.start(t, "n2")
				topic := second.createTopic(t, "logs", 4)
				second.awaitShared(t, topic, "n1", "n2")
				require.NoError(t, second.meta.Restart(t.Context(), "n1", time.Now().Add(time.Minute)))
				<-time.After(after)
				if after > time.Minute {
					require.Equal(t, talosv1.NodeMark_NODE_MARK_UNSPECIFIED, second.operator(t).node("n1").GetMark())
				}
				require.NoError(t, first.stop())
				first.registry.MustRegister(first.metrics.handedOver) // it was taken out at the end
				require.InDelta(t, 2, first.value(t, "talos_server_handed_over_total"), 0)
				second.awaitShared(t, topic, "n2") // it may not have heard of the moves yet
			})
		})
	}
}

// A node whose partitions nobody takes in time closes them in good order all the same.
func TestANodeThatCannotHandOverInTimeClosesItsPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		first := c.start(t, "n1")
		topic := first.createTopic(t, "logs", 2)
		for p := range int32(2) {
			first.producer(t).produce(topic, p, newBatch(t, "a"))
		}
		// n2 is a member, and no assignment can be written anymore.
		c.noMoves.Store(true)
		second := c.prepare(t, "n2")
		defer second.meta.Close()
		require.NoError(t, second.meta.Register(t.Context()))
		require.NoError(t, first.stop())
		for p := range int32(2) {
			listing, err := c.store.List(t.Context(), talos.PartitionID{Topic: idOf(t, topic), Number: p}.String())
			require.NoError(t, err)
			for _, s := range listing.Segments {
				require.True(t, s.Sealed)
			}
		}
	})
}

func TestLoadIsWhatWasAppendedSinceTheLastLook(t *testing.T) {
	a, b := talos.PartitionID{Topic: talos.TopicID{1}}, talos.PartitionID{Topic: talos.TopicID{1}, Number: 1}
	before := map[talos.PartitionID]tally{a: {bytes: 1000, appends: 10}, b: {bytes: 50, appends: 5}}
	after := map[talos.PartitionID]tally{a: {bytes: 1000, appends: 10}, b: {bytes: 100_050, appends: 105}, {}: {bytes: 400_000, appends: 40}}
	load := loadBetween(before, after, 10*time.Second)
	require.Equal(t, coordinator.Load{
		BytesPerSecond: 50_000, AppendsPerSecond: 14,
		Partitions: []coordinator.PartitionLoad{
			{BytesPerSecond: 40_000, AppendsPerSecond: 4},
			{Topic: a.Topic, Partition: 1, BytesPerSecond: 10_000, AppendsPerSecond: 10},
		},
	}, load)
	require.False(t, changedNoticeably(load, load))
	require.True(t, changedNoticeably(coordinator.Load{}, load))
	require.True(t, changedNoticeably(load, coordinator.Load{}), "it has become idle")
	little := load
	little.BytesPerSecond += 1000
	require.False(t, changedNoticeably(load, little))
	swapped := coordinator.Load{BytesPerSecond: 50_000, AppendsPerSecond: 14, Partitions: []coordinator.PartitionLoad{{Partition: 7, BytesPerSecond: 50_000}}}
	require.True(t, changedNoticeably(load, swapped), "the same sum, elsewhere")
}
