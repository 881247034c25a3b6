package datanode

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
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
