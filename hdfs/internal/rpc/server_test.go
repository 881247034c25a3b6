package rpc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

const testProtocol = "org.example.Protocol"

// peer is the far end of one connection that the client under test made. The
// test reads calls from it and answers them as it likes.
type peer struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	// context is what the client said first.
	context *wire.ConnectionContext
}

// received is a call as it came.
type received struct {
	header *wire.RpcRequestHeader
	method *wire.RequestHeader
	src    string
}

// listen returns a client whose connections come out of the channel, over
// net.Pipe, so that a bubble of virtual time may hold both ends.
func listen(t *testing.T, c Config) (*Client, <-chan *peer) {
	t.Helper()
	raw := make(chan net.Conn, 16)
	peers := make(chan *peer, 16)
	c.Address, c.Protocol, c.User = "namenode:8020", testProtocol, "kai"
	c.Dial = func(context.Context, string) (net.Conn, error) {
		near, far := net.Pipe()
		raw <- far
		return near, nil
	}
	var work sync.WaitGroup
	stop := make(chan struct{})
	work.Go(func() {
		for {
			select {
			case conn := <-raw:
				p := &peer{t: t, conn: conn, r: bufio.NewReader(conn)}
				p.readOpening()
				peers <- p
			case <-stop:
				return
			}
		}
	})
	client := New(c)
	t.Cleanup(func() {
		client.Close()
		close(stop)
		work.Wait()
	})
	return client, peers
}

func (p *peer) readOpening() {
	var got [len(preface)]byte
	_, err := io.ReadFull(p.r, got[:])
	require.NoError(p.t, err)
	require.Equal(p.t, preface, string(got[:]))
	messages := p.messages(2)
	var h wire.RpcRequestHeader
	require.NoError(p.t, proto.Unmarshal(messages[0], &h))
	require.Equal(p.t, int32(-3), h.GetCallId())
	p.context = &wire.ConnectionContext{}
	require.NoError(p.t, proto.Unmarshal(messages[1], p.context))
}

// messages reads a frame of n messages.
func (p *peer) messages(n int) [][]byte {
	var length [4]byte
	_, err := io.ReadFull(p.r, length[:])
	require.NoError(p.t, err)
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err = io.ReadFull(p.r, frame)
	require.NoError(p.t, err)
	var all [][]byte
	for range n {
		one, size := protowire.ConsumeBytes(frame)
		require.Positive(p.t, size)
		all, frame = append(all, one), frame[size:]
	}
	require.Empty(p.t, frame)
	return all
}

// next reads the next call.
func (p *peer) next() received {
	messages := p.messages(3)
	r := received{header: &wire.RpcRequestHeader{}, method: &wire.RequestHeader{}}
	require.NoError(p.t, proto.Unmarshal(messages[0], r.header))
	require.NoError(p.t, proto.Unmarshal(messages[1], r.method))
	var req wire.GetFileInfoRequest
	require.NoError(p.t, proto.Unmarshal(messages[2], &req))
	r.src = req.GetSrc()
	return r
}

// answer answers a call with a file of the path that was asked for.
func (p *peer) answer(r received) {
	p.send(encodeAnswer(p.t, &wire.RpcResponseHeader{
		CallId: proto.Uint32(uint32(r.header.GetCallId())), Status: wire.RpcStatus_RPC_SUCCESS.Enum(),
	}, answerTo(r.src)))
}

// throw answers a call id with an exception.
func (p *peer) throw(id int32, status wire.RpcStatus, class, message string) {
	p.send(encodeAnswer(p.t, &wire.RpcResponseHeader{
		CallId: proto.Uint32(uint32(id)), Status: &status, ExceptionClass: &class, ErrorMessage: &message,
	}))
}

func (p *peer) send(frame []byte) {
	_, err := p.conn.Write(frame)
	require.NoError(p.t, err)
}

func encodeAnswer(t testing.TB, messages ...proto.Message) []byte {
	t.Helper()
	frame, err := encodeFrame(messages...)
	require.NoError(t, err)
	return frame
}

func answerTo(src string) *wire.GetFileInfoResponse {
	return &wire.GetFileInfoResponse{File: &wire.FileStatus{
		FileType: wire.FileType_IS_FILE.Enum(), Path: []byte(src), Length: proto.Uint64(1),
		Permission: &wire.Permission{Perm: proto.Uint32(0o644)}, Owner: proto.String("kai"), Group: proto.String("kai"),
		ModificationTime: proto.Uint64(1), AccessTime: proto.Uint64(1),
	}}
}

// outcome is what a call made by ask returned.
type outcome struct {
	path string
	err  error
}

// ask calls for a path in a goroutine.
func ask(ctx context.Context, c *Client, call Call, src string) <-chan outcome {
	done := make(chan outcome, 1)
	call.Method = "getFileInfo"
	go func() {
		var resp wire.GetFileInfoResponse
		err := c.Call(ctx, call, &wire.GetFileInfoRequest{Src: &src}, &resp)
		done <- outcome{path: string(resp.GetFile().GetPath()), err: err}
	}()
	return done
}

// serve listens on a real socket and hands its first connection to f. It returns
// a client of it.
func serve(t *testing.T, f func(conn net.Conn)) *Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer func() { _ = conn.Close() }() // the far end may have
				f(conn)
			})
		}
	})
	c := New(Config{Address: listener.Addr().String(), Protocol: testProtocol, User: "kai", Timeout: 5 * time.Second})
	t.Cleanup(func() {
		c.Close()
		require.NoError(t, listener.Close())
		work.Wait()
	})
	return c
}

// answering reads something and answers it with raw bytes.
func answering(raw []byte) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := conn.Read(make([]byte, 64)); err != nil {
			return
		}
		_, _ = io.Copy(conn, bytes.NewReader(raw))
		_, _ = io.Copy(io.Discard, conn)
	}
}
