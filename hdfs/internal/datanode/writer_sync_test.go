package datanode

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// holding is a DataNode that acknowledges a packet when it is allowed to.
type holding struct {
	begun   sync.Once
	arrived chan received
	goOn    chan struct{}
}

// begin is called by whoever comes first in the bubble of virtual time, to which
// the channels belong.
func (h *holding) begin() {
	h.begun.Do(func() { h.arrived, h.goOn = make(chan received, 100), make(chan struct{}, 100) })
}

func (h *holding) on(conn net.Conn, p received) bool {
	h.begin()
	h.arrived <- p
	<-h.goOn
	return acknowledge(conn, p)
}

func TestAppendsThatComeDuringASyncShareTheNextOne(t *testing.T) {
	var h holding
	virtual(t, []action{nil, h.on, nil}, func(t *testing.T, w *Writer, nodes []*fakeNode) {
		h.begin()
		o := newOutcomes(t)
		w.Append([]byte("a"), true, o.done(0))
		require.True(t, (<-h.arrived).header.GetSyncBlock())
		for i, text := range []string{"bb", "", "ccc", "dddd"} {
			w.Append([]byte(text), i%2 == 0, o.done(i+1))
		}
		synctest.Wait()
		require.Empty(t, h.arrived, "nothing comes while a sync is not acknowledged")
		h.goOn <- struct{}{}
		next := <-h.arrived
		require.True(t, next.header.GetSyncBlock())
		require.EqualValues(t, len("abbcccdddd"), next.header.GetDataLen(), "the partial chunk is sent again")
		require.EqualValues(t, 1, w.Acknowledged())
		close(h.goOn)
		require.Equal(t, []error{nil, nil, nil, nil, nil}, o.wait(5))
		require.EqualValues(t, 10, w.Acknowledged())
		require.NoError(t, w.Finish(t.Context()))
		data, _ := nodes[1].got()
		require.Equal(t, "abbcccdddd", string(data))
	})
}

func TestASyncIsSentWhenEverythingBeforeItIsAcknowledged(t *testing.T) {
	var h holding
	virtual(t, []action{h.on, nil, nil}, func(t *testing.T, w *Writer, _ []*fakeNode) {
		h.begin()
		o := newOutcomes(t)
		w.Append([]byte("flushed"), false, o.done(0))
		w.Append(make([]byte, 2*maxPacketData), true, o.done(1))
		for i := range 3 {
			p := <-h.arrived
			require.False(t, p.header.GetSyncBlock(), "packet %d", i)
			synctest.Wait()
			require.Empty(t, h.arrived)
			h.goOn <- struct{}{}
		}
		require.True(t, (<-h.arrived).header.GetSyncBlock())
		close(h.goOn)
		require.Equal(t, []error{nil, nil}, o.wait(2))
		require.NoError(t, w.Finish(t.Context()))
	})
}

func TestASyncWaitsForTheHeartbeatBeforeIt(t *testing.T) {
	var h holding
	virtual(t, []action{h.on, nil, nil}, func(t *testing.T, w *Writer, _ []*fakeNode) {
		h.begin()
		require.EqualValues(t, heartbeatSeqno, (<-h.arrived).header.GetSeqno())
		o := newOutcomes(t)
		w.Append([]byte("record"), true, o.done(0))
		synctest.Wait()
		require.Empty(t, h.arrived)
		close(h.goOn)
		require.NoError(t, o.wait(1)[0])
		require.NoError(t, w.Finish(t.Context()))
	})
}
