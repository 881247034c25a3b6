package hostile_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// random returns a generator for the test, and logs how to get it again.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("TALOS_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("TALOS_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// connect opens a connection that ends with the test.
func connect(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close() // it may be closed already
	})
	return conn
}

// say sends bytes, and takes whatever the node says until it hangs up, or for as
// long as it says nothing.
func say(t *testing.T, address string, p []byte) {
	t.Helper()
	const patience = 100 * time.Millisecond
	conn := connect(t, address)
	// The node may hang up in the middle: that is an answer, too.
	_, _ = conn.Write(p)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	_, _ = io.Copy(io.Discard, conn)
	require.NoError(t, conn.Close())
}

func TestBytesOfOtherProtocols(t *testing.T) {
	rng := random(t)
	inputs := map[string][]byte{
		"HTTP/1.1":                   []byte("GET / HTTP/1.1\r\nHost: talos\r\n\r\n"),
		"HTTP/1.1 upgrade":           []byte("GET / HTTP/1.1\r\nHost: talos\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n\r\n"),
		"endless header":             append([]byte("GET / HTTP/1.1\r\nX: "), bytes.Repeat([]byte("x"), 1<<20)...),
		"the preface alone":          []byte(http2.ClientPreface),
		"half of the preface":        []byte(http2.ClientPreface[:12]),
		"preface, then random":       append([]byte(http2.ClientPreface), randomBytes(rng, 4096)...),
		"preface, then a huge frame": append([]byte(http2.ClientPreface), 0xff, 0xff, 0xff, 4, 0, 0, 0, 0, 0),
		"zeros":                      make([]byte, 1<<20),
		"a TLS hello":                helloTLS(t),
		"nothing":                    nil,
		"a Kafka request":            {0x7f, 0xff, 0xff, 0xff, 0, 18, 0, 3, 0, 0, 0, 1},
	}
	for range 100 {
		inputs["random "+strconv.Itoa(len(inputs))] = randomBytes(rng, 1+rng.IntN(2000))
	}
	s := newScene(t)
	for name, input := range inputs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			say(t, s.node.Address(), input)
			say(t, s.node.Pages(), input)
		})
	}
}

// helloTLS is what a client says that takes the port for one of TLS.
func helloTLS(t *testing.T) []byte {
	t.Helper()
	client, server := net.Pipe()
	hello := make([]byte, 16<<10)
	read := make(chan int, 1)
	go func() {
		// An error leaves nothing read, which is asserted below.
		n, _ := server.Read(hello)
		read <- n
		_ = server.Close()
	}()
	require.Error(t, tls.Client(client, &tls.Config{ServerName: "talos", MinVersion: tls.VersionTLS12}).HandshakeContext(t.Context()))
	n := <-read
	require.Positive(t, n)
	return hello[:n]
}

// Connections that are opened and say nothing, or stop in the middle of a
// handshake or of a call, are in nobody's way.
func TestHalfOpenConnections(t *testing.T) {
	const each = 200
	s := newScene(t)
	for range each {
		connect(t, s.node.Address())
		connect(t, s.node.Pages())
		conn := connect(t, s.node.Address())
		_, err := conn.Write([]byte(http2.ClientPreface))
		require.NoError(t, err)
	}
	for range each {
		h := handshake(t, s.node.Address())
		h.beginCall(t, 1, talosv1.Log_Produce_FullMethodName)
		h.data(t, 1, messageHead(1<<20)) // and not a byte of the message
	}
	s.mustWork()
}

// A message that claims 4 GiB is refused by its head alone.
func TestAMessageThatClaims4GiB(t *testing.T) {
	s := newScene(t)
	for _, method := range []string{talosv1.Log_Produce_FullMethodName, talosv1.Log_Fetch_FullMethodName, talosv1.Admin_Metadata_FullMethodName} {
		h := handshake(t, s.node.Address())
		for stream := uint32(1); stream < 40; stream += 2 {
			h.beginCall(t, stream, method)
			h.data(t, stream, append(messageHead(0xffffffff), 1, 2, 3))
			require.Contains(t, []string{"3", "8"}, h.awaitStatus(t, stream), "InvalidArgument or ResourceExhausted")
		}
	}
}

// A client that sends batches and reads no answers stalls itself alone.
func TestAClientThatNeverReads(t *testing.T) {
	s := newScene(t)
	h := handshake(t, s.node.Address())
	h.beginCall(t, 1, talosv1.Log_Produce_FullMethodName)
	message := append(messageHead(0), nil...)
	flood := bytes.Repeat(message, 1<<10)
	require.NoError(t, h.conn.SetWriteDeadline(time.Now().Add(2*time.Second)))
	for range 64 << 10 {
		// Flow control is ours to respect; this client does not.
		if err := h.framer.WriteData(1, false, flood); err != nil {
			break
		}
	}
	s.mustWork()
}

// http2Conn speaks HTTP/2 by hand.
type http2Conn struct {
	conn   net.Conn
	framer *http2.Framer
	header bytes.Buffer
	encode *hpack.Encoder
}

func handshake(t *testing.T, address string) *http2Conn {
	t.Helper()
	h := &http2Conn{conn: connect(t, address)}
	_, err := io.WriteString(h.conn, http2.ClientPreface)
	require.NoError(t, err)
	h.framer = http2.NewFramer(h.conn, h.conn)
	h.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	h.encode = hpack.NewEncoder(&h.header)
	require.NoError(t, h.framer.WriteSettings())
	return h
}

func (h *http2Conn) beginCall(t *testing.T, stream uint32, method string) {
	t.Helper()
	h.header.Reset()
	h.beginHeaders(t, method)
	require.NoError(t, h.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: h.header.Bytes(), EndHeaders: true,
	}))
}

// beginHeaders encodes the headers of a call.
func (h *http2Conn) beginHeaders(t *testing.T, method string) {
	t.Helper()
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
}

func (h *http2Conn) data(t *testing.T, stream uint32, p []byte) {
	t.Helper()
	require.NoError(t, h.framer.WriteData(stream, false, p))
}

// messageHead is what stands before a message of gRPC: not compressed, and its
// length.
func messageHead(length uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0}, length) }

// awaitStatus returns the gRPC status of a call that ended.
func (h *http2Conn) awaitStatus(t *testing.T, stream uint32) string {
	t.Helper()
	require.NoError(t, h.conn.SetReadDeadline(time.Now().Add(answerTimeout)))
	for {
		frame, err := h.framer.ReadFrame()
		require.NoError(t, err)
		headers, ok := frame.(*http2.MetaHeadersFrame)
		if !ok || headers.StreamID != stream {
			continue
		}
		for _, f := range headers.Fields {
			if strings.EqualFold(f.Name, "grpc-status") {
				return f.Value
			}
		}
	}
}
