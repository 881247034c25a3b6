package namenode

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// seen is a call as a NameNode received it.
type seen struct {
	address string
	method  string
	client  string
	id      int32
	retry   int32
	req     []byte
}

// reaction is what a scripted NameNode does about a call: it answers with a
// message, throws, hangs up, or is silent.
type reaction struct {
	answer  proto.Message
	class   string
	message string
	hangUp  bool
	silent  bool
}

func thrown(class, message string) reaction { return reaction{class: class, message: message} }

const (
	standby   = "org.apache.hadoop.ipc.StandbyException"
	retriable = "org.apache.hadoop.ipc.RetriableException"
)

// world is what lies behind the addresses of a client: NameNodes that do as the
// test says. Connections are pipes, so that time may be virtual.
type world struct {
	t     *testing.T
	react func(seen) reaction
	// refuse is set by address where nobody listens.
	refuse map[string]bool
	work   sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	calls []seen
	dials []string
}

// start returns a client of scripted NameNodes nn1, nn2...
func start(t *testing.T, nameNodes int, react func(seen) reaction) (*Client, *world) {
	t.Helper()
	w := &world{t: t, react: react, refuse: map[string]bool{}}
	c := Config{User: "kai", Dial: w.dial}
	for i := range nameNodes {
		c.Addresses = append(c.Addresses, fmt.Sprintf("nn%d", i+1))
	}
	client := New(c)
	t.Cleanup(func() {
		require.NoError(t, client.Close())
		w.work.Wait()
	})
	return client, w
}

func (w *world) dial(_ context.Context, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials = append(w.dials, address)
	if w.refuse[address] {
		return nil, fmt.Errorf("dial %s: connection refused", address)
	}
	near, far := net.Pipe()
	w.work.Go(func() { w.serve(address, far) })
	return near, nil
}

func (w *world) serve(address string, conn net.Conn) {
	defer func() { _ = conn.Close() }() // the far end may have
	r := bufio.NewReader(conn)
	if _, err := io.ReadFull(r, make([]byte, 7)); err != nil {
		return
	}
	if _, err := messages(r); err != nil {
		return
	}
	for {
		call, err := messages(r)
		if err != nil {
			return
		}
		s := w.note(address, call)
		d := w.react(s)
		switch {
		case d.silent:
		case d.hangUp:
			return
		default:
			if _, err := conn.Write(d.encode(w.t, s.id)); err != nil {
				return
			}
		}
	}
}

// messages reads a frame.
func messages(r io.Reader) ([][]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	var all [][]byte
	for len(frame) > 0 {
		one, n := protowire.ConsumeBytes(frame)
		if n < 0 {
			return nil, io.ErrUnexpectedEOF
		}
		all, frame = append(all, one), frame[n:]
	}
	return all, nil
}

func (w *world) note(address string, call [][]byte) seen {
	var h wire.RpcRequestHeader
	var m wire.RequestHeader
	require.Len(w.t, call, 3)
	require.NoError(w.t, proto.Unmarshal(call[0], &h))
	require.NoError(w.t, proto.Unmarshal(call[1], &m))
	require.Equal(w.t, protocol, m.GetProtocol())
	s := seen{address: address, method: m.GetMethod(), client: string(h.GetClientId()), id: h.GetCallId(), retry: h.GetRetryCount(), req: call[2]}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, s)
	return s
}

// seen returns the calls so far.
func (w *world) seen() []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]seen(nil), w.calls...)
}

func (d reaction) encode(t *testing.T, id int32) []byte {
	h := &wire.RpcResponseHeader{CallId: proto.Uint32(uint32(id)), Status: wire.RpcStatus_RPC_SUCCESS.Enum()}
	all := []proto.Message{h}
	if d.class != "" {
		h.Status, h.ExceptionClass, h.ErrorMessage = wire.RpcStatus_RPC_ERROR.Enum(), &d.class, &d.message
	} else {
		all = append(all, d.answer)
	}
	frame := make([]byte, 4)
	for _, m := range all {
		encoded, err := proto.Marshal(m)
		require.NoError(t, err)
		frame = protowire.AppendBytes(frame, encoded)
	}
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	return frame
}

// always reacts to every call alike.
func always(d reaction) func(seen) reaction { return func(seen) reaction { return d } }

// inTurn reacts with one after the other, and with the last one from then on.
func inTurn(all ...reaction) func(seen) reaction {
	var mu sync.Mutex
	next := 0
	return func(seen) reaction {
		mu.Lock()
		defer mu.Unlock()
		d := all[min(next, len(all)-1)]
		next++
		return d
	}
}
