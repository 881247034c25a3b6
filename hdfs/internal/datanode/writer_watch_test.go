package datanode

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// virtual runs a test in virtual time, with fakes behind pipes.
func virtual(t *testing.T, behave []action, test func(t *testing.T, w *Writer, nodes []*fakeNode)) {
	synctest.Test(t, func(t *testing.T) {
		var nodes []*fakeNode
		for i, on := range behave {
			f := newFakeNode(t, uint32(1000+i))
			f.on = on
			nodes = append(nodes, f)
		}
		c := Config{Dial: piped(nodes...), QueueBytes: 1 << 20}
		w, failed := Connect(t.Context(), c, blockOn(nodes...), Setup{})
		require.Empty(t, failed)
		test(t, w, nodes)
		w.Abandon()
		for _, f := range nodes {
			f.close()
		}
	})
}

func silent(net.Conn, received) bool { return true }

func TestALaggardEndsTheWriter(t *testing.T) {
	virtual(t, []action{nil, nil, from(1, silent)}, func(t *testing.T, w *Writer, nodes []*fakeNode) {
		begun := time.Now()
		o := newOutcomes(t)
		for i := range 3 {
			w.Append([]byte("record"), false, o.done(i))
		}
		for i, err := range o.wait(3) {
			require.Equal(t, i == 0, err == nil)
		}
		require.ErrorIs(t, w.Err(), ErrLaggard)
		require.Equal(t, []*wire.DatanodeInfo{nodes[2].info}, w.Culprits())
		took := time.Since(begun)
		require.GreaterOrEqual(t, took, laggard)
		require.LessOrEqual(t, took, laggard*3/2)
	})
}

func TestADataNodeThatIsSlowerButKeepsUpIsNoLaggard(t *testing.T) {
	slow := func(conn net.Conn, p received) bool {
		time.Sleep(laggard * 9 / 10)
		return acknowledge(conn, p)
	}
	virtual(t, []action{nil, nil, slow}, func(t *testing.T, w *Writer, _ []*fakeNode) {
		for range 5 {
			appendAndWait(t, w, []byte("record"), true)
		}
		require.NoError(t, w.Finish(t.Context()))
	})
}

func TestNobodyAcknowledges(t *testing.T) {
	virtual(t, []action{silent, silent, silent}, func(t *testing.T, w *Writer, _ []*fakeNode) {
		begun := time.Now()
		o := newOutcomes(t)
		w.Append([]byte("record"), false, o.done(0))
		require.ErrorIs(t, o.wait(1)[0], ErrLaggard)
		require.Len(t, w.Culprits(), 3)
		took := time.Since(begun)
		require.GreaterOrEqual(t, took, silence)
		require.LessOrEqual(t, took, silence+laggard)
	})
}

// A DataNode that does not even read fills its queue, though appends were
// acknowledged by nobody: all are slow, one is stopped.
func TestADataNodeWhoseQueueIsFullIsALaggard(t *testing.T) {
	slow := func(conn net.Conn, p received) bool {
		time.Sleep(100 * time.Millisecond)
		return acknowledge(conn, p)
	}
	stopped := func(net.Conn, received) bool {
		time.Sleep(time.Hour)
		return false
	}
	virtual(t, []action{slow, stopped, slow}, func(t *testing.T, w *Writer, nodes []*fakeNode) {
		o := newOutcomes(t)
		begun := time.Now()
		w.Append(make([]byte, 4<<20), false, o.done(0))
		require.Less(t, time.Since(begun), time.Second, "Append waits")
		require.ErrorIs(t, o.wait(1)[0], ErrLaggard)
		require.Contains(t, w.Culprits(), nodes[1].info)
	})
}

func TestIdleWritersSendHeartbeats(t *testing.T) {
	virtual(t, []action{nil, nil, nil}, func(t *testing.T, w *Writer, nodes []*fakeNode) {
		appendAndWait(t, w, []byte("record"), false)
		time.Sleep(10*heartbeats + time.Second)
		for _, f := range nodes {
			f.mu.Lock()
			require.InDelta(t, 10, f.beats, 1)
			f.mu.Unlock()
		}
		require.EqualValues(t, len("record"), w.Acknowledged())
		appendAndWait(t, w, []byte("another"), false)
		require.NoError(t, w.Finish(t.Context()))
	})
}

func TestABusyWriterSendsNoHeartbeat(t *testing.T) {
	virtual(t, []action{nil}, func(t *testing.T, w *Writer, nodes []*fakeNode) {
		for range 60 {
			appendAndWait(t, w, []byte("record"), false)
			time.Sleep(heartbeats / 3)
		}
		nodes[0].mu.Lock()
		defer nodes[0].mu.Unlock()
		require.Zero(t, nodes[0].beats)
	})
}

func TestADataNodeThatMissesHeartbeatsEndsTheWriter(t *testing.T) {
	mute := func(conn net.Conn, p received) bool {
		return p.header.GetSeqno() == heartbeatSeqno || acknowledge(conn, p)
	}
	virtual(t, []action{nil, mute, nil}, func(t *testing.T, w *Writer, nodes []*fakeNode) {
		<-w.Dead()
		require.ErrorIs(t, w.Err(), ErrLaggard)
		require.Equal(t, []*wire.DatanodeInfo{nodes[1].info}, w.Culprits())
	})
}

func TestConnectTimesOutAndEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := make(chan struct{})
		f := newFakeNode(t, 1000)
		f.accept = func(*wire.OpWriteBlock) *wire.BlockOpResponse { <-wait; return nil }
		c := Config{Dial: piped(f)}
		begun := time.Now()
		_, failed := Connect(t.Context(), c, blockOn(f), Setup{})
		require.Len(t, failed, 1)
		require.Equal(t, connectTimeout, time.Since(begun))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, failed = Connect(ctx, c, blockOn(f), Setup{})
		require.Len(t, failed, 1)
		require.ErrorIs(t, failed[0], context.DeadlineExceeded)
		require.Equal(t, connectTimeout+time.Second, time.Since(begun))
		close(wait)
		f.close()
	})
}
