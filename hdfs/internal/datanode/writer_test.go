package datanode

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// outcomes records what done functions were told, in their order.
type outcomes struct {
	t  testing.TB
	mu sync.Mutex // guards the fields below
	// running is set while a done function runs: there must be one at a time.
	running bool
	calls   []int
	errs    []error
	more    chan struct{}
}

func newOutcomes(t testing.TB) *outcomes { return &outcomes{t: t, more: make(chan struct{}, 1<<16)} }

// done returns the done function of append i.
func (o *outcomes) done(i int) func(error) {
	return func(err error) {
		o.mu.Lock()
		if o.running {
			o.t.Error("two done functions run at once")
		}
		o.running = true
		o.calls, o.errs = append(o.calls, i), append(o.errs, err)
		o.mu.Unlock()
		o.more <- struct{}{}
		o.mu.Lock()
		o.running = false
		o.mu.Unlock()
	}
}

// wait waits for n calls in all.
func (o *outcomes) wait(n int) []error {
	for o.count() < n {
		<-o.more
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.errs[:n:n]
}

func (o *outcomes) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.calls)
}

// inOrder checks that each of the n appends was told once, in order, and none
// well after one failed. It returns how many went well.
func (o *outcomes) inOrder(n int) (well int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	require.Len(o.t, o.calls, n)
	for i, call := range o.calls {
		require.Equal(o.t, i, call)
		if o.errs[i] == nil {
			require.Equal(o.t, well, i, "acknowledged after a failure")
			well++
			continue
		}
		require.ErrorIs(o.t, o.errs[i], ErrBroken)
	}
	return well
}

func appendAndWait(t testing.TB, w *Writer, p []byte, sync bool) {
	done := make(chan error, 1)
	w.Append(p, sync, func(err error) { done <- err })
	require.NoError(t, <-done)
}

func three(t testing.TB) []*fakeNode {
	return []*fakeNode{listening(t), listening(t), listening(t)}
}

func TestAppendsOfAnySizeArriveWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		nodes := three(t)
		w := connected(t, Config{}, nodes...)
		size := rapid.OneOf(rapid.IntRange(0, 3*ChunkBytes), rapid.IntRange(0, 4*maxPacketData), rapid.SampledFrom([]int{
			1, ChunkBytes - 1, ChunkBytes, ChunkBytes + 1, maxPacketData - 1, maxPacketData, maxPacketData + 1,
		}))
		sizes := rapid.SliceOfN(size, 1, 12).Draw(rt, "sizes")
		pipelined := rapid.Bool().Draw(rt, "pipelined")
		sync := rapid.Bool().Draw(rt, "sync")

		var want []byte
		o := newOutcomes(t)
		for i, n := range sizes {
			p := make([]byte, n)
			for j := range p {
				p[j] = byte(rand.Uint32())
			}
			want = append(want, p...)
			w.Append(p, sync, func(err error) {
				clear(p) // ours again
				o.done(i)(err)
			})
			if !pipelined {
				require.NoError(rt, o.wait(i + 1)[i])
				require.EqualValues(rt, len(want), w.Acknowledged())
			}
		}
		require.NoError(rt, w.Finish(t.Context()))
		require.Equal(rt, len(sizes), o.inOrder(len(sizes)))
		for _, f := range nodes {
			data, ended := f.got()
			require.True(rt, ended)
			require.True(rt, bytes.Equal(want, data))
			require.Equal(rt, sync, f.synced == len(want) && f.synced > 0 || sync && len(want) == 0)
			f.close()
		}
	})
}

func TestOnlyTheLastPacketOfAnAppendSyncs(t *testing.T) {
	var syncs []bool
	f := listening(t)
	f.on = func(conn net.Conn, p received) bool {
		syncs = append(syncs, p.header.GetSyncBlock())
		return acknowledge(conn, p)
	}
	w := connected(t, Config{}, f)
	appendAndWait(t, w, make([]byte, 2*maxPacketData+1), true)
	appendAndWait(t, w, []byte("flushed"), false)
	done := make(chan error, 1)
	w.Sync(func(err error) { done <- err })
	require.NoError(t, <-done)
	require.Equal(t, []bool{false, false, true, false, true}, syncs)
}

func TestAppendIsAcknowledgedByTheSlowest(t *testing.T) {
	nodes := three(t)
	release := make(chan struct{})
	nodes[1].on = func(conn net.Conn, p received) bool {
		<-release
		return acknowledge(conn, p)
	}
	w := connected(t, Config{}, nodes...)
	o := newOutcomes(t)
	w.Append([]byte("record"), false, o.done(0))
	require.Eventually(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.legs[0].acked == 0 && w.legs[2].acked == 0
	}, 5*time.Second, time.Millisecond)
	require.Zero(t, o.count())
	require.Zero(t, w.Acknowledged())
	close(release)
	require.NoError(t, o.wait(1)[0])
	require.NoError(t, w.Finish(t.Context()))
}

// Whatever one DataNode does wrong, the writer is dead, knows whom to blame, and
// acknowledges nothing more.
func reset(conn net.Conn, _ received) bool {
	_ = conn.(*net.TCPConn).SetLinger(0)
	return false
}

// end ends the connection. With packets unread, to close it would be a reset.
func end(conn net.Conn, _ received) bool {
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
	return false
}

func TestOneBadDataNodeEndsTheWriter(t *testing.T) {
	for name, c := range map[string]struct {
		bad  action
		want error
	}{
		"error":    {func(conn net.Conn, p received) bool { return answer(conn, p.header.GetSeqno(), wire.Status_ERROR) }, &StatusError{Status: wire.Status_ERROR}},
		"restarts": {func(conn net.Conn, _ received) bool { return answer(conn, -2, wire.Status_OOB_RESTART) }, &StatusError{Status: wire.Status_OOB_RESTART}},
		"gap":      {func(conn net.Conn, p received) bool { return answer(conn, p.header.GetSeqno()+1, wire.Status_SUCCESS) }, ErrProtocol},
		"twice":    {func(conn net.Conn, p received) bool { return answer(conn, p.header.GetSeqno()-1, wire.Status_SUCCESS) }, ErrProtocol},
		"ahead": {func(conn net.Conn, p received) bool {
			return acknowledge(conn, p) && answer(conn, p.header.GetSeqno()+1, wire.Status_SUCCESS)
		}, ErrProtocol},
		"unasked beat": {func(conn net.Conn, _ received) bool { return answer(conn, heartbeatSeqno, wire.Status_SUCCESS) }, ErrProtocol},
		"garbage": {func(conn net.Conn, _ received) bool {
			_, err := conn.Write([]byte{3, 0xff, 0xff, 0xff})
			return err == nil
		}, errMalformedAck},
		"end": {end, io.EOF},
		"end in the ack": {func(conn net.Conn, p received) bool {
			_, _ = conn.Write([]byte{9, 1})
			return end(conn, p)
		}, io.ErrUnexpectedEOF},
		"reset": {reset, nil},
	} {
		t.Run(name, func(t *testing.T) {
			const good, n = 5, 20
			nodes := three(t)
			nodes[1].on = from(good, c.bad)
			w := connected(t, Config{}, nodes...)
			o := newOutcomes(t)
			for i := range good {
				w.Append([]byte("acknowledged"), false, o.done(i))
			}
			o.wait(good)
			for i := good; i < n; i++ {
				w.Append([]byte("not any more"), false, o.done(i))
			}
			o.wait(n)
			<-w.Dead()
			well := o.inOrder(n)
			require.GreaterOrEqual(t, well, good)
			require.LessOrEqual(t, well, good+2) // "ahead" acknowledges one well, and one that may be sent already
			require.EqualValues(t, well*len("acknowledged"), w.Acknowledged())
			require.Equal(t, []*wire.DatanodeInfo{nodes[1].info}, w.Culprits())
			var node *NodeError
			require.ErrorAs(t, w.Err(), &node)
			require.Equal(t, nodes[1].info, node.Node)
			var status, wanted *StatusError
			switch {
			case errors.As(c.want, &wanted):
				require.ErrorAs(t, w.Err(), &status)
				require.Equal(t, wanted, status)
			case c.want != nil:
				require.ErrorIs(t, w.Err(), c.want)
			}
			require.ErrorIs(t, w.Finish(t.Context()), ErrBroken)
			w.Append([]byte("late"), false, o.done(n))
			require.ErrorIs(t, o.wait(n + 1)[n], ErrBroken)
		})
	}
}

// Appends of random sizes meet a failure at a random moment.
func TestDoneIsCalledOnceAndInOrderWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		nodes := three(t)
		n := rapid.IntRange(1, 60).Draw(rt, "appends")
		at := rapid.IntRange(0, n).Draw(rt, "at")
		abandon := rapid.Bool().Draw(rt, "abandon")
		if !abandon {
			nodes[at%3].on = from(int64(at), func(net.Conn, received) bool { return false })
		}
		w := connected(t, Config{}, nodes...)
		o := newOutcomes(t)
		var lengths []int64
		total, abandonAt := int64(0), rapid.IntRange(0, n).Draw(rt, "abandonAt")
		for i := range n {
			if abandon && i == abandonAt {
				w.Abandon()
			}
			p := make([]byte, rapid.IntRange(0, 2000).Draw(rt, "size"))
			total += int64(len(p))
			lengths = append(lengths, total)
			w.Append(p, i%2 == 0, func(err error) {
				clear(p)
				o.done(i)(err)
			})
		}
		w.Abandon()
		w.Abandon()
		well := o.inOrder(n)
		if well > 0 {
			require.Equal(rt, lengths[well-1], w.Acknowledged())
		} else {
			require.Zero(rt, w.Acknowledged())
		}
		if abandon {
			require.Empty(rt, w.Culprits())
		}
		for _, f := range nodes {
			data, _ := f.got()
			require.GreaterOrEqual(rt, int64(len(data)), w.Acknowledged())
			f.close()
		}
	})
}

func TestFinishEndsWithItsContext(t *testing.T) {
	nodes := three(t)
	nodes[2].on = func(net.Conn, received) bool { return true } // says nothing
	w := connected(t, Config{}, nodes...)
	o := newOutcomes(t)
	w.Append([]byte("record"), false, o.done(0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, w.Finish(ctx), context.Canceled)
	require.ErrorIs(t, o.wait(1)[0], ErrBroken)
	require.Empty(t, w.Culprits())
}

func TestFinishTwiceAndAppendAfterwards(t *testing.T) {
	nodes := three(t)
	w := connected(t, Config{}, nodes...)
	appendAndWait(t, w, []byte("record"), true)
	require.NoError(t, w.Finish(t.Context()))
	require.NoError(t, w.Finish(t.Context()))
	<-w.Dead()
	o := newOutcomes(t)
	w.Append([]byte("late"), false, o.done(0))
	require.ErrorIs(t, o.wait(1)[0], ErrBroken)
	w.Abandon()
	require.EqualValues(t, len("record"), w.Acknowledged())
	require.Empty(t, w.Culprits())
}

func TestConnectFailsIfOneDataNodeDoes(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*fakeNode)
		check   func(error)
	}{
		"refused": {func(f *fakeNode) { _ = f.listener.Close() }, nil},
		"status": {func(f *fakeNode) {
			f.accept = func(*wire.OpWriteBlock) *wire.BlockOpResponse {
				return &wire.BlockOpResponse{Status: wire.Status_ERROR_ACCESS_TOKEN.Enum(), Message: proto.String("token")}
			}
		}, func(err error) {
			require.ErrorContains(t, err, "it answered ERROR_ACCESS_TOKEN: token")
		}},
		"end": {func(f *fakeNode) {
			f.accept = func(*wire.OpWriteBlock) *wire.BlockOpResponse { return nil }
		}, func(err error) { require.ErrorIs(t, err, io.EOF) }},
	} {
		t.Run(name, func(t *testing.T) {
			nodes := three(t)
			c.prepare(nodes[1])
			w, failed := Connect(t.Context(), Config{}, blockOn(nodes...), Setup{})
			require.Nil(t, w)
			require.Len(t, failed, 1)
			require.Equal(t, nodes[1].info, failed[0].Node)
			if c.check != nil {
				c.check(failed[0])
			}
		})
	}
	w, failed := Connect(t.Context(), Config{}, blockOn(), Setup{})
	require.Nil(t, w)
	require.Len(t, failed, 1)
}

func TestABlockIsOpenedForItsSync(t *testing.T) {
	nodes := three(t)
	for _, f := range nodes {
		f.data = make([]byte, 1300)
	}
	setup := Setup{Append: true, Length: 1300, NewStamp: 1002}
	w, failed := Connect(t.Context(), Config{ClientName: "recovers"}, blockOn(nodes...), setup)
	require.Empty(t, failed)
	done := make(chan error, 1)
	w.Sync(func(err error) { done <- err })
	require.NoError(t, <-done)
	require.NoError(t, w.Finish(t.Context()))
	require.EqualValues(t, 1300, w.Acknowledged())
	for i, f := range nodes {
		require.Equal(t, 1300, f.synced)
		require.Equal(t, wire.Stage_PIPELINE_SETUP_APPEND, f.op.GetStage())
		require.EqualValues(t, 1001, f.op.GetHeader().GetBase().GetBlock().GetGenerationStamp())
		require.EqualValues(t, 1300, f.op.GetHeader().GetBase().GetBlock().GetNumBytes())
		require.EqualValues(t, 1300, f.op.GetMinBytesReceived())
		require.EqualValues(t, 1300, f.op.GetMaxBytesReceived())
		require.EqualValues(t, 1002, f.op.GetLatestGenerationStamp())
		require.Equal(t, blockOn(nodes...).GetStorageIds()[i], f.op.GetStorageId())
	}
	w, failed = Connect(t.Context(), Config{}, blockOn(listening(t)), setup)
	require.Empty(t, failed)
	o := newOutcomes(t)
	w.Append([]byte("data"), false, o.done(0))
	require.ErrorIs(t, o.wait(1)[0], errTakesNone)
	w.Abandon()
}
