package server

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
)

// rawConn speaks HTTP/2 by hand, and opens no window: what it is sent beyond the
// first 64 KiB stays in the node. It reads frames only to throw them away.
type rawConn struct {
	conn net.Conn

	mu     sync.Mutex // guards what is written
	framer *http2.Framer
	header bytes.Buffer
	encode *hpack.Encoder
}

func rawConnection(t *testing.T, n *testNode) *rawConn {
	t.Helper()
	conn, err := n.rpc.DialContext(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	h := &rawConn{conn: conn, framer: http2.NewFramer(conn, conn)}
	h.encode = hpack.NewEncoder(&h.header)
	_, err = io.WriteString(conn, http2.ClientPreface)
	require.NoError(t, err)
	require.NoError(t, h.framer.WriteSettings())
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for {
			frame, err := h.framer.ReadFrame()
			if err != nil {
				return
			}
			// A client that is alive, as far as keepalive can tell.
			if ping, ok := frame.(*http2.PingFrame); ok && !ping.IsAck() {
				h.mu.Lock()
				err := h.framer.WritePing(true, ping.Data)
				h.mu.Unlock()
				if err != nil {
					return
				}
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-drained
	})
	return h
}

func (h *rawConn) begin(t *testing.T, stream uint32, method string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.header.Reset()
	for _, f := range [][2]string{
		{":method", "POST"},
		{":scheme", "http"},
		{":path", method},
		{":authority", "talos"},
		{"content-type", "application/grpc"},
		{"te", "trailers"},
	} {
		require.NoError(t, h.encode.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	require.NoError(t, h.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: h.header.Bytes(), EndHeaders: true,
	}))
}

func (h *rawConn) data(t *testing.T, stream uint32, last bool, p []byte) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	require.NoError(t, h.framer.WriteData(stream, last, p))
}

// fetch asks for up to so many bytes from the start of the first partition.
func (h *rawConn) fetch(t *testing.T, stream uint32, topic []byte, maxBytes int32) {
	t.Helper()
	request, err := proto.Marshal(&talosv1.FetchRequest{
		Partitions: []*talosv1.FetchPartition{{TopicId: topic}}, MaxBytes: maxBytes, MinBytes: maxBytes,
	})
	require.NoError(t, err)
	h.begin(t, stream, talosv1.Log_Fetch_FullMethodName)
	h.data(t, stream, true, append([]byte{0, 0, 0, byte(len(request) >> 8), byte(len(request))}, request...))
}
