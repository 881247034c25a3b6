package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/sdk/fake"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// groupRig is a cluster in memory with the topic logs.
type groupRig struct {
	*testing.T
	client   *sdk.Client
	producer *sdk.Producer
	sent     int
}

func newGroupRig(t *testing.T, cluster *fake.Cluster, partitions int32) *groupRig {
	t.Helper()
	r := &groupRig{T: t, client: cluster.Client()}
	_, err := r.client.CreateTopic(t.Context(), "logs", partitions, talos.TopicConfig{})
	require.NoError(t, err)
	r.producer, err = r.client.NewProducer(t.Context(), "logs")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.producer.Close(context.Background())) })
	return r
}

// send puts n records into each partition.
func (r *groupRig) send(n int, partitions int32) {
	r.Helper()
	for range n {
		for p := range partitions {
			_, err := r.producer.SendSync(r.Context(), p, talos.Record{Value: fmt.Append(nil, r.sent)})
			require.NoError(r, err)
			r.sent++
		}
	}
}

func (r *groupRig) join(opts ...sdk.GroupOpt) *sdk.Group {
	r.Helper()
	g, err := r.client.NewGroup(r.Context(), "readers", []talos.TopicName{"logs"}, opts...)
	require.NoError(r, err)
	r.Cleanup(func() { _ = g.Close(context.Background()) }) // most are closed by then
	return g
}

// tally counts what members were given, by partition and offset.
type tally struct {
	mu   sync.Mutex
	seen map[string]int
	last map[string]talos.Offset // by member and partition
}

func newTally() *tally { return &tally{seen: map[string]int{}, last: map[string]talos.Offset{}} }

func (y *tally) take(t *testing.T, member string, messages []sdk.Message) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, m := range messages {
		y.seen[fmt.Sprintf("%d/%d", m.Partition, m.Offset)]++
		lane := fmt.Sprintf("%s %d", member, m.Partition)
		if last, ok := y.last[lane]; ok && m.Offset <= last {
			t.Errorf("%s: offset %d after %d", lane, m.Offset, last)
		}
		y.last[lane] = m.Offset
	}
}

func (y *tally) records() (distinct, all int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, n := range y.seen {
		distinct, all = distinct+1, all+n
	}
	return distinct, all
}

// reads polls until ctx ends.
func (y *tally) reads(ctx context.Context, t *testing.T, member string, g *sdk.Group) {
	for {
		messages, err := g.Poll(ctx)
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("%s: %v", member, err)
			}
			return
		}
		y.take(t, member, messages)
	}
}

func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	require.Eventually(t, f, 5*time.Minute, 10*time.Millisecond, what)
}

// Members share the partitions; one that leaves gives all back; nothing is read
// twice, since each commits before it gives up.
func TestAGroupSharesAndCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := fake.StartT(t, fake.WithoutNetwork())
		r := newGroupRig(t, cluster, 8)
		r.send(5, 8)
		y := newTally()
		var running sync.WaitGroup
		defer running.Wait()
		first, second := r.join(), r.join()
		ctx1, stop1 := context.WithCancel(t.Context())
		ctx2, stop2 := context.WithCancel(t.Context())
		defer stop1()
		defer stop2()
		running.Go(func() { y.reads(ctx1, t, "first", first) })
		await(t, "the first one reads all", func() bool { n, _ := y.records(); return n == r.sent })
		require.Len(t, first.Assigned(), 8)

		running.Go(func() { y.reads(ctx2, t, "second", second) })
		await(t, "they share", func() bool { return len(first.Assigned()) == 4 && len(second.Assigned()) == 4 })
		r.send(5, 8)
		await(t, "they read all", func() bool { n, _ := y.records(); return n == r.sent })

		stop1()
		require.NoError(t, first.Close(t.Context()))
		await(t, "the second one has all", func() bool { return len(second.Assigned()) == 8 })
		r.send(5, 8)
		await(t, "it reads all", func() bool { n, _ := y.records(); return n == r.sent })
		stop2()
		running.Wait()
		require.NoError(t, second.Close(t.Context()))

		third := r.join()
		r.send(1, 8)
		got := 0
		for got < 8 {
			messages, err := third.Poll(t.Context())
			require.NoError(t, err)
			y.take(t, "third", messages)
			got += len(messages)
		}
		distinct, all := y.records()
		require.Equal(t, []int{r.sent, r.sent}, []int{distinct, all}, "each record once")
	})
}

// What was not committed is read again: after an application that hangs, by
// another member; and by the same one when it goes on.
func TestAHungMemberIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := fake.StartT(t, fake.WithoutNetwork())
		r := newGroupRig(t, cluster, 2)
		r.send(3, 2)
		var lost []sdk.GroupPartition
		hung := r.join(sdk.GroupMaxProcessing(30*time.Second), sdk.GroupOnLost(func(p []sdk.GroupPartition) { lost = p }))
		messages, err := hung.Poll(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, messages)

		<-time.After(time.Minute)
		other := r.join()
		y := newTally()
		for n := 0; n < r.sent; {
			got, err := other.Poll(t.Context())
			require.NoError(t, err)
			y.take(t, "other", got)
			n, _ = y.records()
		}
		require.Len(t, other.Assigned(), 2)
		require.ErrorIs(t, hung.Commit(t.Context()), talos.UnknownMember)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var running sync.WaitGroup
		defer running.Wait()
		running.Go(func() { y.reads(ctx, t, "other", other) })
		again := newTally()
		running.Go(func() { again.reads(ctx, t, "hung", hung) })
		await(t, "it joins again, and they share", func() bool { return len(hung.Assigned()) == 1 && len(other.Assigned()) == 1 })
		require.Len(t, lost, 2)
	})
}

// A member out of reach stops by itself before others get what it has; the
// coordinator's node goes away, and nobody is disturbed for longer.
func TestAGroupOutlivesItsCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := fake.StartT(t, fake.Nodes(3), fake.WithoutNetwork())
		client, err := cluster.Dial()
		require.NoError(t, err)
		defer func() { require.NoError(t, client.Close()) }()
		r := newGroupRig(t, cluster, 6)
		r.client = client
		r.send(2, 6)
		y := newTally()
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		members := []*sdk.Group{r.join(), r.join(), r.join()}
		var gone int
		for i, g := range members {
			running.Go(func() { y.reads(ctx, t, fmt.Sprint("member ", i), g) })
		}
		share := func() bool {
			return len(members[0].Assigned()) == 2 && len(members[1].Assigned()) == 2 && len(members[2].Assigned()) == 2
		}
		await(t, "they share", share)
		for i := range 2 {
			gone = i
			require.NoError(t, cluster.Stop(gone))
			r.send(2, 6)
			await(t, "they read all", func() bool { n, _ := y.records(); return n == r.sent })
			require.True(t, share(), "nobody loses anything")
			require.NoError(t, cluster.StartNode(t.Context(), gone))
		}
		distinct, all := y.records()
		require.Equal(t, distinct, all, "each record once")
	})
}

// Only what is committed counts where the application commits, and hooks may choose
// where to begin.
func TestManualCommitsAndHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := fake.StartT(t, fake.WithoutNetwork())
		r := newGroupRig(t, cluster, 1)
		r.send(10, 1)
		first := r.join(sdk.GroupManualCommit())
		messages, err := first.Poll(t.Context())
		require.NoError(t, err)
		require.Len(t, messages, 10)
		require.NoError(t, first.Commit(t.Context(), messages[3]))
		require.NoError(t, first.Close(t.Context()))

		second := r.join(sdk.GroupManualCommit())
		messages, err = second.Poll(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 4, messages[0].Offset)
		require.NoError(t, second.Close(t.Context()))

		third := r.join(sdk.GroupOnAssigned(func(_ context.Context, starts map[sdk.GroupPartition]talos.Offset) error {
			require.Equal(t, map[sdk.GroupPartition]talos.Offset{{Topic: "logs", Partition: 0}: 4}, starts)
			starts[sdk.GroupPartition{Topic: "logs", Partition: 0}] = 8
			return nil
		}))
		messages, err = third.Poll(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 8, messages[0].Offset)
	})
}

// An iterator's record is processed when the loop comes back: what was not yielded
// is read again by the next member, and so is the one at which the loop was left,
// unless the application says that it is processed.
func TestRecordsOfAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := fake.StartT(t, fake.WithoutNetwork())
		r := newGroupRig(t, cluster, 1)
		r.send(10, 1)
		first := r.join()
		for m, err := range first.Records(t.Context()) {
			require.NoError(t, err)
			if m.Offset == 5 {
				break
			}
		}
		require.NoError(t, first.Close(t.Context()))
		second := r.join(sdk.GroupCommitEvery(time.Hour))
		for m, err := range second.Records(t.Context()) {
			require.NoError(t, err)
			if m.Offset == 6 {
				break
			}
			require.EqualValues(t, 5, m.Offset)
		}
		require.NoError(t, second.Commit(t.Context()))
		require.NoError(t, second.Close(t.Context()))
		third := r.join()
		messages, err := third.Poll(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 7, messages[0].Offset)
	})
}

// A member with an instance id that comes back has what it had, and no other is
// disturbed; one that is passed over ends.
func TestAnInstanceComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := fake.StartT(t, fake.WithoutNetwork())
		r := newGroupRig(t, cluster, 4)
		y := newTally()
		var running sync.WaitGroup
		defer running.Wait()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		other := r.join()
		running.Go(func() { y.reads(ctx, t, "other", other) })
		await(t, "it has all", func() bool { return len(other.Assigned()) == 4 })
		first := r.join(sdk.GroupInstance("one"))
		ctx1, stop1 := context.WithCancel(t.Context())
		defer stop1()
		running.Go(func() { y.reads(ctx1, t, "first", first) })
		await(t, "they share", func() bool { return len(first.Assigned()) == 2 && len(other.Assigned()) == 2 })
		had := first.Assigned()
		stop1()
		require.NoError(t, first.Close(t.Context()))
		<-time.After(5 * time.Second)
		require.Len(t, other.Assigned(), 2)

		second := r.join(sdk.GroupInstance("one"))
		running.Go(func() { y.reads(ctx, t, "second", second) })
		await(t, "it is back", func() bool { return len(second.Assigned()) == 2 })
		require.Equal(t, had, second.Assigned())
	})
}

// Close may be called while another goroutine polls, also while that takes partitions
// over: that Poll ends, and the member leaves.
func TestAGroupIsClosedWhileItPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := fake.StartT(t, fake.WithoutNetwork())
		r := newGroupRig(t, cluster, 4)
		r.send(2, 4)
		for range 20 {
			taking := make(chan struct{})
			g := r.join(sdk.GroupOnAssigned(func(ctx context.Context, _ map[sdk.GroupPartition]talos.Offset) error {
				close(taking)
				<-ctx.Done() // a hook that waits for something is not waited for
				return nil
			}))
			var polling sync.WaitGroup
			polling.Go(func() {
				for {
					if _, err := g.Poll(t.Context()); err != nil {
						if !errors.Is(err, talos.Closed) {
							t.Error(err)
						}
						return
					}
				}
			})
			<-taking
			require.NoError(t, g.Close(t.Context()))
			polling.Wait()
		}
		d, err := r.client.DescribeGroup(t.Context(), "readers")
		require.NoError(t, err)
		require.Zero(t, d.Members, "each has said goodbye")
	})
}

func TestGroupOptionsAreChecked(t *testing.T) {
	cluster := fake.StartT(t, fake.WithoutNetwork())
	_, err := cluster.Client().NewGroup(t.Context(), "readers", nil, sdk.GroupSessionTimeout(time.Millisecond),
		sdk.GroupManualCommit(), sdk.GroupCommitEvery(time.Second), sdk.GroupReading(sdk.ConsumerStart(sdk.Latest)))
	require.ErrorIs(t, err, talos.InvalidConfig)
	for _, words := range []string{"topics: there are none", "session timeout: 1ms", "not both", "GroupStart the start"} {
		require.ErrorContains(t, err, words)
	}
	bad, err := cluster.Client().NewGroup(t.Context(), "a b", []talos.TopicName{"logs"})
	require.NoError(t, err)
	_, err = bad.Poll(t.Context())
	require.ErrorIs(t, err, talos.InvalidGroupName)
	require.NoError(t, bad.Close(t.Context()))
}

// A member that is cut off hands out nothing once its session is over, not even what
// it has fetched already: another member reads that.
func TestAMemberThatIsCutOffStopsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := fake.StartT(t, fake.WithoutNetwork())
		r := newGroupRig(t, cluster, 1)
		zipped, err := r.client.NewProducer(t.Context(), "logs", sdk.ProducerCodec(batch.Zstd))
		require.NoError(t, err)
		for range 10 {
			_, err := zipped.SendSync(t.Context(), 0, talos.Record{Value: make([]byte, 10_000)})
			require.NoError(t, err)
		}
		require.NoError(t, zipped.Close(t.Context()))

		var cut atomic.Bool
		var conns sync.Map
		far, err := cluster.Dial(sdk.WithDialer(func(ctx context.Context, address string) (net.Conn, error) {
			if cut.Load() {
				return nil, errors.New("no route to host")
			}
			conn, err := cluster.Connect(ctx, address)
			conns.Store(conn, nil)
			return conn, err
		}))
		require.NoError(t, err)
		defer func() { require.NoError(t, far.Close()) }()
		lost := 0
		member, err := far.NewGroup(t.Context(), "readers", []talos.TopicName{"logs"},
			sdk.GroupReading(sdk.ConsumerPollBytes(20_000)), sdk.GroupOnLost(func(p []sdk.GroupPartition) { lost += len(p) }))
		require.NoError(t, err)
		messages, err := member.Poll(t.Context())
		require.NoError(t, err)
		require.Less(t, len(messages), 10, "more was fetched")

		cut.Store(true)
		conns.Range(func(conn, _ any) bool { return conn.(net.Conn).Close() == nil })
		<-time.After(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = member.Poll(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 1, lost)

		near := r.join()
		got, err := near.Poll(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 0, got[0].Offset, "nothing was committed")
		_ = member.Close(ctx) // it is out
	})
}
