package datanode

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// firstWrites dials TCP, and keeps what the first write to each connection was.
type firstWrites struct {
	mu  sync.Mutex // guards all
	all [][]byte
}

func (f *firstWrites) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	return &firstWrite{Conn: conn, all: f}, err
}

type firstWrite struct {
	net.Conn
	all  *firstWrites
	once sync.Once
}

func (c *firstWrite) Write(b []byte) (int, error) {
	c.once.Do(func() {
		c.all.mu.Lock()
		defer c.all.mu.Unlock()
		c.all.all = append(c.all.all, bytes.Clone(b))
	})
	return c.Conn.Write(b)
}

func TestTheHeadGoesOutWithTheOperation(t *testing.T) {
	for _, size := range []int{0, 1, 700, maxPacketData, maxPacketData + 1, 3*maxPacketData + 13} {
		nodes, first := three(t), &firstWrites{}
		head := bytes.Repeat([]byte("head"), size)[:size]
		durable := make(chan error, 2)
		w, failed := Connect(t.Context(), Config{Dial: first.dial}, blockOn(nodes...), Setup{Head: head, HeadDone: func(err error) { durable <- err }})
		require.Empty(t, failed)
		require.NoError(t, <-durable)
		require.EqualValues(t, size, w.Acknowledged())
		require.Len(t, first.all, len(nodes))
		for _, b := range first.all {
			require.True(t, bytes.HasSuffix(b, head[:min(size, maxPacketData)]), "the head did not wait for the DataNode")
		}
		appendAndWait(t, w, []byte("more"), false)
		require.NoError(t, w.Finish(t.Context()))
		for _, f := range nodes {
			data, ended := f.got()
			require.True(t, ended)
			require.Equal(t, append(bytes.Clone(head), "more"...), data)
			require.Equal(t, size, f.synced)
		}
		require.Empty(t, durable, "it is told once")
	}
}

func TestAHeadIsNotToldOfWhenADataNodeRefusesTheBlock(t *testing.T) {
	nodes := three(t)
	nodes[2].accept = func(*wire.OpWriteBlock) *wire.BlockOpResponse {
		return &wire.BlockOpResponse{Status: wire.Status_ERROR.Enum()}
	}
	w, failed := Connect(t.Context(), Config{}, blockOn(nodes...), Setup{Head: []byte("head"), HeadDone: func(error) { t.Error("told") }})
	require.Nil(t, w)
	require.Len(t, failed, 1)
	require.Equal(t, nodes[2].info, failed[0].Node)
}

func TestAHeadThatADataNodeCanNotKeepFails(t *testing.T) {
	nodes := three(t)
	nodes[1].on = func(conn net.Conn, p received) bool { return answer(conn, p.header.GetSeqno(), wire.Status_ERROR) }
	durable := make(chan error, 1)
	w, failed := Connect(t.Context(), Config{}, blockOn(nodes...), Setup{Head: []byte("head"), HeadDone: func(err error) { durable <- err }})
	require.Empty(t, failed)
	require.ErrorIs(t, <-durable, ErrBroken)
	require.Zero(t, w.Acknowledged())
	require.Equal(t, []*wire.DatanodeInfo{nodes[1].info}, w.Culprits())
	w.Abandon()
}
