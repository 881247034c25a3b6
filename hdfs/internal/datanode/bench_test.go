package datanode

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// quick is a DataNode that acknowledges without looking at anything.
func quick(b *testing.B) *fakeNode {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	f := newFakeNode(b, uint32(listener.Addr().(*net.TCPAddr).Port))
	f.listener = listener
	b.Cleanup(f.close)
	f.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			f.work.Go(func() { acknowledgeAll(conn) })
		}
	})
	return f
}

func acknowledgeAll(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReaderSize(conn, 1<<20)
	if readOperation(r, opWriteBlock, &wire.OpWriteBlock{}) != nil ||
		writeDelimited(conn, &wire.BlockOpResponse{Status: wire.Status_SUCCESS.Enum()}) != nil {
		return
	}
	var head [6]byte
	var out []byte
	for seqno := int64(0); ; seqno++ {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		rest := int(binary.BigEndian.Uint32(head[:])) - 4 + int(binary.BigEndian.Uint16(head[4:]))
		if _, err := r.Discard(rest); err != nil {
			return
		}
		ack, err := proto.Marshal(&wire.PipelineAck{Seqno: &seqno, Reply: []wire.Status{wire.Status_SUCCESS}, Flag: []uint32{0}})
		if err != nil {
			return
		}
		out = append(append(out[:0], byte(len(ack))), ack...)
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// BenchmarkWriter appends to three DataNodes that do nothing, so many appends at
// once in flight; the costs are those of both sides.
func BenchmarkWriter(b *testing.B) {
	for _, c := range []struct{ size, inFlight int }{{1 << 10, 1}, {1000, 1}, {1 << 10, 16}, {64 << 10, 1}, {64 << 10, 64}, {1 << 20, 4}} {
		b.Run(fmt.Sprintf("%d bytes, %d in flight", c.size, c.inFlight), func(b *testing.B) {
			w, failed := Connect(b.Context(), Config{}, blockOn(quick(b), quick(b), quick(b)), Setup{})
			require.Empty(b, failed)
			defer w.Abandon()
			p := make([]byte, c.size)
			free := make(chan struct{}, c.inFlight)
			done := func(error) { free <- struct{}{} }
			for range c.inFlight {
				free <- struct{}{}
			}
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			for b.Loop() {
				<-free
				w.Append(p, false, done)
			}
			for range c.inFlight {
				<-free
			}
		})
	}
}
