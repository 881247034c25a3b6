package datanode

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A DataNode that fails when everything was sent, the last packet included, ends
// Finish as any failure does: not only the context.
func TestFinishEndsWhenADataNodeFailsOnTheLastPacket(t *testing.T) {
	onTheLast := func(act action) action {
		return func(conn net.Conn, p received) bool {
			if p.header.GetLastPacketInBlock() {
				return act(conn, p)
			}
			return acknowledge(conn, p)
		}
	}
	for name, act := range map[string]action{
		"it goes away":     func(net.Conn, received) bool { return false },
		"it says nothing":  silent,
		"it says an error": func(conn net.Conn, p received) bool { return answer(conn, p.header.GetSeqno(), 1) },
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, []action{nil, nil, onTheLast(func(conn net.Conn, p received) bool {
				<-time.After(time.Second) // the senders have ended
				return act(conn, p)
			})}, func(t *testing.T, w *Writer, _ []*fakeNode) {
				begun := time.Now()
				appendAndWait(t, w, []byte("record"), true)
				require.ErrorIs(t, w.Finish(t.Context()), ErrBroken)
				require.Less(t, time.Since(begun), silence+laggard)
			})
		})
	}
}

func TestASyncWaitsForAHeartbeatThatNoSenderHasTakenYet(t *testing.T) {
	virtual(t, []action{nil, nil, nil}, func(t *testing.T, w *Writer, _ []*fakeNode) {
		w.mu.Lock()
		w.enqueue(heartbeat())
		w.pending.push(pending{p: []byte("record"), sync: true, last: uncutSeqno, done: func(error) {}})
		w.uncut++
		w.cut()
		require.NotNil(t, w.held)
		w.mu.Unlock()
		synctest.Wait()
		require.EqualValues(t, 6, w.Acknowledged())
		require.NoError(t, w.Finish(t.Context()))
	})
}
