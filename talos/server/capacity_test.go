package server

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// with sets limits of a node.
func with(edit func(*Capacity)) func(*Config) {
	return func(c *Config) {
		c.Capacity = DefaultCapacity()
		edit(&c.Capacity)
	}
}

// What gRPC has queued for a client that does not read counts until it is read,
// and the connection ends when that takes too long.
func TestAnAnswerHoldsItsMemoryUntilItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newCluster().start(t, "n1")
		topic := n.createTopic(t, "logs", 1)
		big := strings.Repeat("x", 900<<10)
		for range 4 {
			n.producer(t).produce(topic, 0, newBatch(t, big))
		}
		h := rawConnection(t, n)
		h.fetch(t, 1, topic.GetId(), 3<<20)
		held := func() bool { return !n.answerBytes.TryAcquire(int64(DefaultCapacity().AnswerBytes) - 2<<20) }
		require.Eventually(t, func() bool {
			synctest.Wait()
			return held()
		}, patience, time.Millisecond, "the node has an answer for it")
		time.Sleep(DefaultCapacity().AnswerTimeout / 2)
		require.True(t, held(), "the handler is done, the answer is not read")

		time.Sleep(DefaultCapacity().AnswerTimeout)
		synctest.Wait()
		n.requireNothingHeld(t)
		require.InDelta(t, 1, n.value(t, "talos_server_connections_closed_total"), 0)
	})
}

// requireNothingHeld makes sure that no answer has memory.
func (n *testNode) requireNothingHeld(t *testing.T) {
	t.Helper()
	all := int64(DefaultCapacity().AnswerBytes)
	require.Eventually(t, func() bool { return n.answerBytes.TryAcquire(all) }, patience, time.Millisecond)
	n.answerBytes.Release(all)
}

func TestAnswersThatAreReadHoldNothing(t *testing.T) {
	n := newCluster().start(t, "n1")
	topic := n.createTopic(t, "logs", 1)
	n.producer(t).produce(topic, 0, newBatch(t, strings.Repeat("x", 100<<10)))
	for range 20 {
		n.fetch(t, topic.GetId(), 0, 0, patience)
		_, err := n.admin.Metadata(t.Context(), &talosv1.MetadataRequest{Topics: []string{"logs"}})
		require.NoError(t, err)
		canceled, cancel := context.WithCancel(t.Context())
		go cancel()
		_, _ = n.log.Fetch(canceled, &talosv1.FetchRequest{ // it may have been fast enough
			Partitions: []*talosv1.FetchPartition{{TopicId: topic.GetId()}},
		})
	}
	n.requireNothingHeld(t)
}

// A client's own share is what it waits for first: it takes nothing from others.
func TestAClientCannotTakeTheMemoryOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newCluster().start(t, "n1", with(func(c *Capacity) { c.ConnectionAnswerBytes = 1 }))
		topic := n.createTopic(t, "logs", 1)
		n.producer(t).produce(topic, 0, newBatch(t, strings.Repeat("x", 900<<10)))
		h := rawConnection(t, n)
		for stream := range uint32(100) {
			h.fetch(t, 2*stream+1, topic.GetId(), talos.MaxFetchBytes)
		}
		synctest.Wait()
		require.False(t, n.answerBytes.TryAcquire(int64(DefaultCapacity().AnswerBytes)))
		most := int64(LeastAnswerBytes(talos.DefaultLimits()))
		require.True(t, n.answerBytes.TryAcquire(int64(DefaultCapacity().AnswerBytes)-most))
		n.answerBytes.Release(int64(DefaultCapacity().AnswerBytes) - most)
		require.NotEmpty(t, n.fetch(t, topic.GetId(), 0, 0, patience).GetBatches(), "others are served")
		require.NoError(t, h.conn.Close())
		synctest.Wait()
	})
}

func TestCallsBeyondTheLimitAreOverloaded(t *testing.T) {
	n := newCluster().start(t, "n1", with(func(c *Capacity) { c.Streams = 2 }))
	first, second := n.producer(t), n.producer(t)
	topic := talos.NewTopicID()
	for _, p := range []*producer{first, second} {
		p.send(topic[:], 0, nil)
		p.receive()
	}
	_, err := n.admin.Version(t.Context(), &talosv1.VersionRequest{})
	e := detail(t, err)
	require.Equal(t, string(talos.Overloaded), e.GetKind())
	require.Contains(t, e.GetMessage(), "limits.streams")
	require.NoError(t, first.stream.CloseSend())
	require.Eventually(t, func() bool {
		_, err := n.admin.Version(t.Context(), &talosv1.VersionRequest{})
		return err == nil
	}, patience, time.Millisecond)
}

// A request that comes in pieces, or not to its end, is not waited for.
func TestARequestThatDoesNotComeIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newCluster().start(t, "n1")
		h := rawConnection(t, n)
		h.begin(t, 1, talosv1.Log_Fetch_FullMethodName)
		h.data(t, 1, false, []byte{0, 0, 1, 0, 0, 1, 2, 3})
		synctest.Wait()
		require.False(t, n.calls.TryAcquire(int64(DefaultCapacity().Streams)))
		time.Sleep(DefaultCapacity().Handshake + time.Second)
		synctest.Wait()
		require.True(t, n.calls.TryAcquire(int64(DefaultCapacity().Streams)))
		n.calls.Release(int64(DefaultCapacity().Streams))
		require.NoError(t, h.conn.Close())
		synctest.Wait()
	})
}

func TestTopicsAndPartitionsAreLimited(t *testing.T) {
	n := newCluster().start(t, "n1", with(func(c *Capacity) { c.Topics, c.Partitions = 2, 10 }))
	create := func(name string, partitions int32) error {
		_, err := n.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{Name: name, Partitions: partitions})
		return err
	}
	require.NoError(t, create("a", 4))
	e := detail(t, create("b", 7))
	require.Equal(t, string(talos.LimitReached), e.GetKind())
	require.Contains(t, e.GetMessage(), "limits.partitions")
	require.NoError(t, create("b", 6))
	require.Contains(t, detail(t, create("c", 1)).GetMessage(), "limits.topics")
}

// A node that has not heard yet of what another one made counts it all the same.
func TestTopicsAndPartitionsAreLimitedThroughAnyNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		limited := with(func(c *Capacity) { c.Topics, c.Partitions = 3, 10 })
		first, second := c.start(t, "n1", limited), c.start(t, "n2", limited)
		first.createTopic(t, "a", 2)
		synctest.Wait()
		meanwhile := func(elsewhere func(), here func() error) error {
			hears := make(chan struct{})
			c.deaf.Store("n2", hears)
			elsewhere()
			time.AfterFunc(time.Second, func() {
				c.deaf.Delete("n2")
				close(hears)
			})
			err := here()
			<-hears
			return err
		}
		more := func(partitions int32) func() error {
			return func() error {
				_, err := second.admin.AlterTopic(t.Context(), &talosv1.AlterTopicRequest{Name: "a", Partitions: &partitions})
				return err
			}
		}
		create := func() error {
			_, err := second.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{Name: "d", Partitions: 1})
			return err
		}
		err := meanwhile(func() { first.createTopic(t, "b", 6) }, more(5))
		require.Contains(t, detail(t, err).GetMessage(), "limits.partitions")
		require.NoError(t, meanwhile(func() {}, more(3)))
		err = meanwhile(func() { first.createTopic(t, "c", 1) }, create)
		require.Contains(t, detail(t, err).GetMessage(), "limits.topics")
		listed, err := first.admin.ListTopics(t.Context(), &talosv1.ListTopicsRequest{})
		require.NoError(t, err)
		require.Len(t, listed.GetTopics(), 3)
	})
}

func TestConnectionsBeyondTheLimitsAreClosed(t *testing.T) {
	var refused []string
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := limitConnections(raw, Capacity{Connections: 3, ConnectionsPerAddress: 2}, 1, func(_ net.Addr, limit string) {
		refused = append(refused, limit)
	})
	accepted := make(chan net.Conn, 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	dial := func(from string) net.Conn {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext(t.Context(), "tcp", raw.Addr().String())
		require.NoError(t, err)
		return conn
	}
	mustBeClosed := func(conn net.Conn) {
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err)
		require.NoError(t, conn.Close())
	}
	var held []net.Conn
	for _, from := range []string{"127.0.0.1", "127.0.0.1"} {
		held = append(held, dial(from), <-accepted)
	}
	mustBeClosed(dial("127.0.0.1"))
	held = append(held, dial("127.0.0.2"), <-accepted)
	mustBeClosed(dial("127.0.0.3"))
	for _, conn := range held {
		require.NoError(t, conn.Close())
	}
	again := dial("127.0.0.1")
	held = []net.Conn{again, <-accepted}
	for _, conn := range held {
		require.NoError(t, conn.Close())
	}
	require.NoError(t, l.Close())
	<-ended
	require.Equal(t, []string{"connections per address", "connections"}, refused)
	require.Zero(t, l.open)
	require.Empty(t, l.byAddress)
}
