package datanode

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

func gone(net.Conn, received) bool { return false }

// failing appends until the second DataNode ends its connection, and abandons the
// writer.
func failing(t *testing.T, sync bool, third action) (*Writer, []*fakeNode) {
	nodes := three(t)
	nodes[1].on = from(3, gone)
	nodes[2].on = third
	w := connected(t, Config{}, nodes...)
	for failed := false; !failed; {
		const window = 3
		o := newOutcomes(t)
		for i := range window {
			w.Append([]byte("a record"), sync, o.done(i))
		}
		for _, err := range o.wait(window) {
			failed = failed || err != nil
		}
	}
	w.Abandon()
	return w, nodes
}

func TestSurvivorsAgreeOnALength(t *testing.T) {
	for name, sync := range map[string]bool{"flush": false, "sync": true} {
		t.Run(name, func(t *testing.T) {
			w, nodes := failing(t, sync, nil)
			survivors, length := w.Survivors()
			require.Equal(t, []int{0, 2}, survivors)
			require.GreaterOrEqual(t, length, w.Acknowledged())
			for _, i := range survivors {
				nodes[i].mu.Lock()
				require.Len(t, nodes[i].data, int(length))
				nodes[i].mu.Unlock()
			}
		})
	}
}

func TestASurvivorThatIsSilentOrGoneIsNone(t *testing.T) {
	for name, third := range map[string]action{"silent": from(2, silent), "gone": from(2, gone)} {
		t.Run(name, func(t *testing.T) {
			w, _ := failing(t, true, third)
			survivors, _ := w.Survivors()
			require.NotContains(t, survivors, 2)
		})
	}
}

func TestAWriterThatDidNotFailHasNoSurvivors(t *testing.T) {
	w := connected(t, Config{}, three(t)...)
	appendAndWait(t, w, []byte("a record"), true)
	w.Abandon()
	survivors, _ := w.Survivors()
	require.Empty(t, survivors)
}

// A survivor that acknowledges what it was not sent is believed in nothing, and no
// connection is left open for it.
func TestASurvivorThatLiesIsNone(t *testing.T) {
	nodes := three(t)
	failed := make(chan struct{})
	nodes[1].on = from(1, gone)
	nodes[2].on = from(1, func(conn net.Conn, p received) bool {
		<-failed
		var both bytes.Buffer
		answer(&both, p.header.GetSeqno(), wire.Status_SUCCESS)
		answer(&both, p.header.GetSeqno()+1, wire.Status_SUCCESS)
		_, err := conn.Write(both.Bytes())
		return err == nil
	})
	var mu sync.Mutex
	var conns []net.Conn
	w := connected(t, Config{Dial: func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		mu.Lock()
		defer mu.Unlock()
		conns = append(conns, conn)
		return conn, err
	}}, nodes...)
	appendAndWait(t, w, []byte("a record"), false)
	w.Append([]byte("a record"), false, func(error) {})
	<-w.Dead()
	close(failed)
	w.Abandon()
	survivors, _ := w.Survivors()
	require.Empty(t, survivors)
	for _, conn := range conns {
		require.ErrorIs(t, conn.SetDeadline(time.Time{}), net.ErrClosed)
	}
}

// Who makes a segment goes on with another one at once.
func TestNobodyWaitsForSurvivorsWhileNothingIsAcknowledged(t *testing.T) {
	virtual(t, []action{nil, gone, silent}, func(t *testing.T, w *Writer, _ []*fakeNode) {
		begun := time.Now()
		w.Append([]byte("the head"), true, func(error) {})
		<-w.Dead()
		w.Abandon()
		require.Zero(t, time.Since(begun))
		survivors, _ := w.Survivors()
		require.Empty(t, survivors)
	})
}
