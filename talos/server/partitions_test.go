package server

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/partition"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/talos"
)

// listGate holds up, or fails, the listing of partitions' folders, which is part
// of every opening.
type listGate struct {
	mu sync.Mutex
	// hold, if set, holds listings up until it is closed; err, if set, fails them.
	hold          chan struct{}
	err           error
	inside, most  int
	perFolder     map[string]int
	appendFailure error
}

func (g *listGate) hook(call faulty.Call) faulty.Fault {
	g.mu.Lock()
	defer g.mu.Unlock()
	if call.Op == faulty.Append && g.appendFailure != nil {
		err := g.appendFailure
		g.appendFailure = nil
		return faulty.Fault{Before: faulty.Fail(err)}
	}
	if call.Op != faulty.List || !strings.Contains(call.ID.Folder, "/") {
		return faulty.Fault{}
	}
	g.perFolder[call.ID.Folder]++
	g.inside++
	g.most = max(g.most, g.inside)
	fault := faulty.Fault{After: faulty.Do(g.leave)}
	switch {
	case g.err != nil:
		g.inside--
		fault.Before = faulty.Fail(g.err)
	case g.hold != nil:
		fault.Before = faulty.Hang(g.hold)
	}
	return fault
}

func (g *listGate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
}

func (g *listGate) set(hold chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold, g.err = hold, err
}

func (g *listGate) count() (inside, most int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside, g.most
}

func newGated() (*cluster, *listGate) {
	c, g := newCluster(), &listGate{perFolder: map[string]int{}}
	c.store = faulty.New(c.store, g.hook)
	return c, g
}

func TestWhileAPartitionOpensProducersAreToldAndReadersWait(t *testing.T) {
	c, gate := newGated()
	hold := make(chan struct{})
	gate.set(hold, nil)
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 1)

	p := n.producer(t)
	p.send(topic.GetId(), 0, newBatch(t, "a"))
	refused := p.receive().GetError()
	require.Equal(t, string(talos.NotServing), refused.GetKind())
	require.True(t, refused.GetRetryable())
	require.Equal(t, string(talos.NotServing), n.fetch(t, topic.GetId(), 0, 0, 0).GetError().GetKind())

	fetched := make(chan *talosv1.FetchedPartition, 1)
	go func() { fetched <- n.fetch(t, topic.GetId(), 0, 0, time.Hour) }()
	listed := make(chan *talosv1.ListOffsetsResponse, 1)
	go func() {
		response, err := n.log.ListOffsets(t.Context(), &talosv1.ListOffsetsRequest{
			Partitions: []*talosv1.ListOffsetsPartition{{TopicId: topic.GetId()}},
		})
		if err != nil {
			t.Error(err)
		}
		listed <- response
	}()
	n.awaitPolls(t, 1)
	close(hold)

	require.Equal(t, int64(0), (<-listed).GetPartitions()[0].GetRange().GetEnd())
	p.produce(topic, 0, newBatch(t, "b"))
	require.Equal(t, []string{"0 b"}, values(t, (<-fetched).GetBatches()))
}

func TestOpeningIsBoundedAndOncePerPartition(t *testing.T) {
	const partitions = 3 * maxOpening
	c, gate := newGated()
	hold := make(chan struct{})
	gate.set(hold, nil)
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", partitions)
	for range 3 {
		for number := range int32(partitions) {
			n.term.Load().partitions.find(talos.PartitionID{Topic: idOf(t, topic), Number: number})
		}
	}
	require.Eventually(t, func() bool { inside, _ := gate.count(); return inside == maxOpening }, patience, time.Millisecond)
	close(hold)
	require.Eventually(t, func() bool { return n.value(t, "talos_server_open_partitions") == partitions }, patience, time.Millisecond)
	_, most := gate.count()
	require.Equal(t, maxOpening, most)
	for folder, times := range gate.perFolder {
		require.Equal(t, 1, times, folder)
	}
}

// While a partition rests after a failure the callers get that failure; later
// uses open it again, after longer and longer rests.
func TestAFailedOpeningIsTheAnswerUntilTheNextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, gate := newGated()
		gate.set(nil, errors.New("connection refused"))
		n := c.start(t, "n1")
		topic := n.createTopic(t, "logs", 1)
		folder := talos.PartitionID{Topic: idOf(t, topic)}.String()

		began := time.Now()
		for time.Since(began) < time.Minute {
			e := n.fetch(t, topic.GetId(), 0, 0, time.Second).GetError()
			require.Equal(t, string(talos.StoreUnavailable), e.GetKind())
			require.Contains(t, e.GetMessage(), "connection refused")
			<-time.After(100 * time.Millisecond)
		}
		gate.mu.Lock()
		attempts := gate.perFolder[folder]
		gate.mu.Unlock()
		require.Greater(t, attempts, 10)
		require.Less(t, attempts, 25)

		gate.set(nil, nil)
		n.producer(t).produce(topic, 0, newBatch(t, "a"))
	})
}

// What only an operator can mend is said as it is.
func TestABrokenChainIsToldAsOne(t *testing.T) {
	c := newCluster()
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	n.producer(t).produce(topic, 0, newBatch(t, "a"))
	require.NoError(t, n.stop())
	folder := talos.PartitionID{Topic: idOf(t, topic)}.String()
	listing, err := c.store.List(t.Context(), folder)
	require.NoError(t, err)
	require.NoError(t, c.store.Remove(t.Context(), storage.ID{Folder: folder, Name: listing.Segments[0].Name}))

	n = c.start(t, "n1")
	e := n.fetch(t, topic.GetId(), 0, 0, patience).GetError()
	require.Equal(t, string(talos.BrokenChain), e.GetKind())
	require.False(t, e.GetRetryable())
	p := n.producer(t)
	require.Eventually(t, func() bool {
		p.send(topic.GetId(), 0, newBatch(t, "b"))
		return p.receive().GetError().GetKind() == string(talos.BrokenChain)
	}, patience, time.Millisecond)
}

// A log that finds a later owner ends; the next use opens the partition again,
// under an epoch above that owner's.
func TestAPartitionThatWasDeposedIsOpenedAgain(t *testing.T) {
	c, gate := newGated()
	n := c.start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	p := n.producer(t)
	p.produce(topic, 0, newBatch(t, "a"))
	_, err := n.meta.Record(talos.PartitionID{Topic: idOf(t, topic)}).Raise(t.Context())
	require.NoError(t, err)
	gate.mu.Lock()
	gate.appendFailure = errors.New("somebody recovered the segment")
	gate.mu.Unlock()

	p.send(topic.GetId(), 0, newBatch(t, "b"))
	require.Equal(t, string(talos.NotOwner), p.receive().GetError().GetKind())
	require.Eventually(t, func() bool {
		p.send(topic.GetId(), 0, newBatch(t, "b"))
		return p.receive().GetAppended().GetEpoch() == 3
	}, patience, time.Millisecond)
	require.Equal(t, []string{"0 a", "1 b"}, n.all(t, topic.GetId(), 0))
}

// What can't be moved away in time is still closed in good order, however little
// time there is.
func TestHalfOfADrainIsForClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		n := c.start(t, "n1", func(cfg *Config) { cfg.Drain = 8 * time.Second })
		topic := n.createTopic(t, "logs", 1)
		n.producer(t).produce(topic, 0, newBatch(t, "a"))
		c.noMoves.Store(true)
		second := c.start(t, "n2")
		synctest.Wait()
		began := time.Now()
		require.NoError(t, n.stop())
		require.Greater(t, time.Since(began), time.Second, "it has tried to move it")
		listing, err := c.store.List(t.Context(), talos.PartitionID{Topic: idOf(t, topic)}.String())
		require.NoError(t, err)
		require.True(t, listing.Segments[0].Sealed)
		c.noMoves.Store(false)
		require.Eventually(t, func() bool { return second.shared(t, topic, "n2") }, time.Minute, time.Second)
	})
}

// A node whose store hangs ends all the same.
func TestHandingOverIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		c := newCluster()
		c.store = faulty.New(c.store, faulty.Rules(faulty.Rule{Op: faulty.Append, Fault: faulty.Fault{Before: faulty.Hang(release)}}))
		n := c.start(t, "n1")
		topic := n.createTopic(t, "logs", 1)
		n.fetch(t, topic.GetId(), 0, 0, time.Second)
		p := n.producer(t)
		p.send(topic.GetId(), 0, newBatch(t, "a"))
		synctest.Wait()

		began := time.Now()
		require.ErrorContains(t, n.stop(), "hand the partitions over")
		require.LessOrEqual(t, time.Since(began), DefaultDrain)
		require.True(t, talos.Retryable(&talos.Error{Kind: talos.Kind(p.receive().GetError().GetKind())}))
	})
}

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	for failures, want := range []time.Duration{1, 2, 4, 8, 10, 10} {
		require.Equal(t, want, backoff(failures, 1, 10))
	}
	require.Equal(t, time.Duration(10), backoff(1000, 1, 10))
}

// A log may end while it is opened, just when its topic is altered: the attempt
// has failed then, and is over.
func TestALogThatEndsWhileItsTopicIsAlteredIsNotOpen(t *testing.T) {
	n := newCluster().start(t, "n1")
	created := n.createTopic(t, "logs", 1)
	term, id := n.term.Load(), talos.PartitionID{Topic: idOf(t, created)}
	topic, known := term.view.TopicOf(id.Topic)
	require.True(t, known)
	require.NoError(t, term.partitions.closeTopic(t.Context(), topic.ID))

	var p *partitions
	p = newPartitions(t.Context(), func(ctx context.Context, topic talos.Topic, number int32) (*partition.Log, error) {
		log, err := term.partitions.open(ctx, topic, number)
		if err != nil {
			return nil, err
		}
		p.mu.Lock()
		p.slots[id].topic.Config.RetentionMillis += 5000
		p.mu.Unlock()
		err = log.Close(ctx)
		return log, err
	}, n.Node)
	<-p.find(id).opening
	again := p.find(id)
	require.Nil(t, again.log)
	require.ErrorIs(t, again.err, talos.NotServing)
	require.NoError(t, p.close(t.Context()))
}

// An opening ends with the term that it belongs to. Who asked for the partition
// did not cancel anything, and may ask again.
func TestAnOpeningThatEndsWithItsTermIsToldAsNotServing(t *testing.T) {
	n := newCluster().start(t, "n1")
	id := talos.PartitionID{Topic: idOf(t, n.createTopic(t, "logs", 1))}
	term, end := context.WithCancel(t.Context())
	p := newPartitions(term, func(ctx context.Context, _ talos.Topic, _ int32) (*partition.Log, error) {
		end()
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}, n.Node)
	<-p.find(id).opening
	require.ErrorIs(t, p.find(id).err, talos.NotServing)
	require.NoError(t, p.close(t.Context()))
}

// A partition that can't follow its topic, since the store does not answer, keeps no
// other one from moving.
func TestAPartitionThatCanNotFollowStopsNoMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		goes := make(chan struct{})
		var hangs atomic.Pointer[string]
		a := c.start(t, "a", func(cfg *Config) {
			cfg.Store = faulty.New(cfg.Store, func(call faulty.Call) faulty.Fault {
				if folder := hangs.Load(); folder != nil && call.ID.Folder == *folder && (call.Op == faulty.Append || call.Op == faulty.Create) {
					return faulty.Fault{Before: faulty.Hang(goes)}
				}
				return faulty.Fault{}
			})
		})
		stuck, moves := a.createTopic(t, "stuck", 1), a.createTopic(t, "moves", 1)
		p := a.producer(t)
		p.produce(stuck, 0, newBatch(t, "x"))
		p.produce(moves, 0, newBatch(t, "x"))
		require.NoError(t, a.meta.Pin(t.Context(), idOf(t, stuck), func(pins coordinator.Pins) { pins[0] = "a" }))
		require.NoError(t, a.meta.Pin(t.Context(), idOf(t, moves), func(pins coordinator.Pins) { pins[0] = "a" }))
		b := c.start(t, "b")
		folder := talos.PartitionID{Topic: idOf(t, stuck)}.String()
		hangs.Store(&folder)
		defer close(goes)
		p.send(stuck.GetId(), 0, newBatch(t, "y"))
		synctest.Wait()
		_, err := b.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{Name: "stuck", Durability: talosv1.Durability_DURABILITY_FLUSH.Enum()})
		require.NoError(t, err)
		synctest.Wait()
		begun := time.Now()
		require.NoError(t, b.operator(t).pin("moves", 0, "b"))
		require.Eventually(t, func() bool { return b.owners(t, moves)[0] == "b" }, time.Minute, 10*time.Millisecond)
		require.Less(t, time.Since(begun), 5*time.Second)
	})
}
