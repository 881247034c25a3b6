package datanode

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// slowOnes appends for a while to three DataNodes, of which the third behaves as it
// is told, and returns which were called slow.
func slowOnes(t *testing.T, first, third action) (called []*wire.DatanodeInfo, slow *wire.DatanodeInfo) {
	synctest.Test(t, func(t *testing.T) {
		var nodes []*fakeNode
		for i, on := range []action{first, first, third} {
			f := newFakeNode(t, uint32(1000+i))
			f.on = on
			nodes = append(nodes, f)
		}
		slow = nodes[2].info
		var mu sync.Mutex
		w, failed := Connect(t.Context(), Config{Dial: piped(nodes...), OnSlow: func(node *wire.DatanodeInfo, waited time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			require.Greater(t, waited, slowWindow/slowShare)
			called = append(called, node)
		}}, blockOn(nodes...), Setup{})
		require.Empty(t, failed)
		for begun := time.Now(); time.Since(begun) < 3*slowWindow; {
			appendAndWait(t, w, []byte("record"), true)
			time.Sleep(time.Millisecond)
		}
		require.NoError(t, w.Finish(t.Context()))
		for _, f := range nodes {
			f.close()
		}
	})
	return called, slow
}

// after acknowledges after a time.
func after(d time.Duration) action {
	return func(conn net.Conn, p received) bool {
		time.Sleep(d)
		return acknowledge(conn, p)
	}
}

func TestADataNodeThatOthersWaitForIsSlow(t *testing.T) {
	packets := 0
	for name, third := range map[string]action{
		"always": after(200 * time.Millisecond),
		"for a moment, over and over": func(conn net.Conn, p received) bool {
			if packets++; packets%50 == 0 {
				time.Sleep(400 * time.Millisecond)
			}
			return acknowledge(conn, p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			called, slow := slowOnes(t, nil, third)
			require.NotEmpty(t, called)
			for _, node := range called {
				require.Equal(t, slow, node)
			}
		})
	}
}

func TestNoDataNodeIsSlowAmongEquals(t *testing.T) {
	for name, both := range map[string][2]action{
		"all are quick":        {nil, nil},
		"all are slow":         {after(300 * time.Millisecond), after(310 * time.Millisecond)},
		"one disk is not fast": {after(time.Millisecond), after(50 * time.Millisecond)},
	} {
		t.Run(name, func(t *testing.T) {
			called, _ := slowOnes(t, both[0], both[1])
			require.Empty(t, called)
		})
	}
}
