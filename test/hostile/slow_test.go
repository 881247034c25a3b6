package hostile_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"
)

// hungUp tells whether the node has closed a connection; what it sends first is
// thrown away.
func hungUp(t *testing.T, conn net.Conn) bool {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(answerTimeout)))
	_, err := io.Copy(io.Discard, conn)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// fill appends n records of 256 KiB, so that there is something to fetch.
func (s *scene) fill(n int) {
	s.t.Helper()
	stream := s.produce()
	for range n {
		answer := stream.roundTrip(s.t, request(s.topic.ID[:], 1, filledBatch(s.t, 256<<10)))
		require.NotNil(s.t, answer.GetAppended(), "%v", answer.GetError())
	}
}

// filledBatch is a batch that the node takes, of about n bytes. The node does not
// look into records.
func filledBatch(t *testing.T, n int) []byte {
	t.Helper()
	return filled(n)(valid(t))
}

// askForAll begins fetches of as much as there is on a connection that has opened
// no window: the answers stay in the node.
func (s *scene) askForAll(h *http2Conn, calls int) {
	s.t.Helper()
	message, err := proto.Marshal(&talosv1.FetchRequest{
		Partitions: []*talosv1.FetchPartition{{TopicId: s.topic.ID[:], Partition: 1}}, MaxBytes: talos.MaxFetchBytes,
	})
	require.NoError(s.t, err)
	for i := range uint32(calls) {
		stream := 2*i + 1
		h.beginCall(s.t, stream, talosv1.Log_Fetch_FullMethodName)
		require.NoError(s.t, h.framer.WriteData(stream, true, append(messageHead(uint32(len(message))), message...)))
	}
}

// Clients that ask for much and read nothing: each of a thousand calls would have
// 4 MiB of answer. What the node holds for them is bounded, and after a while it
// hangs up.
func TestClientsThatNeverReadTheirAnswers(t *testing.T) {
	s := newScene(t, "--config", settings(t, `
limits:
  answer_bytes: 32MiB
  connection_answer_bytes: 18MiB
  answer_timeout: 2s
`))
	s.fill(16)
	var readers sync.WaitGroup
	ends := make(chan bool, 4)
	for range cap(ends) {
		h := handshake(t, s.node.Address())
		// Alive as far as keepalive can tell: the socket is read, and no window opened.
		s.askForAll(h, 250)
		readers.Go(func() { ends <- hungUp(t, h.conn) })
	}
	readers.Wait()
	for range cap(ends) {
		require.True(t, <-ends, "the node hangs up")
	}
	require.Contains(t, s.node.Words(), "an answer was not read in time")
}

// A client that sends the head of a message and no more is given up, call by call.
func TestHalfOfARequest(t *testing.T) {
	s := newScene(t, "--config", settings(t, "limits: {handshake_timeout: 1s, streams: 100}\n"))
	h := handshake(t, s.node.Address())
	for i := range uint32(100) {
		h.beginCall(t, 2*i+1, talosv1.Log_Fetch_FullMethodName)
		h.data(t, 2*i+1, append(messageHead(1<<20), make([]byte, 256)...))
	}
	require.NotEmpty(t, h.awaitStatus(t, 1))
	s.mustWork()
}

// A client whose calls are refused over and over costs its connection.
func TestCallsThatAreRefusedEndTheConnection(t *testing.T) {
	s := newScene(t, "--config", settings(t, "limits: {streams: 20}\n"))
	h := handshake(t, s.node.Address())
	for i := range uint32(20_000) {
		h.header.Reset()
		h.beginHeaders(t, talosv1.Log_Produce_FullMethodName)
		err := h.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: h.header.Bytes(), EndHeaders: true})
		if err != nil {
			break // it has hung up
		}
	}
	require.True(t, hungUp(t, h.conn))
	// It says so when it has hung up.
	require.Eventually(t, func() bool { return strings.Contains(s.node.Words(), "too many calls were refused") }, time.Minute, 10*time.Millisecond)
}

func TestConnectionsBeyondTheLimit(t *testing.T) {
	const limit = 50
	s := newScene(t, "--config", settings(t, "limits: {connections: 100, connections_per_address: 50}\n"))
	var open, closed int
	var held []net.Conn
	for range 3 * limit {
		held = append(held, connect(t, s.node.Address()))
	}
	for _, conn := range held {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
		_, err := conn.Read(make([]byte, 1))
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			open++
		} else {
			closed++
		}
	}
	// Some of those that were taken may have begun, and ended, meanwhile.
	require.LessOrEqual(t, open, limit)
	require.GreaterOrEqual(t, closed, 2*limit)
	for _, conn := range held {
		require.NoError(t, conn.Close())
	}
	require.Eventually(t, s.works, answerTimeout, 50*time.Millisecond)
}

// Headers that trickle in are not waited for.
func TestSlowloris(t *testing.T) {
	s := newScene(t, "--config", settings(t, "limits: {handshake_timeout: 1s}\n"))
	var trickles sync.WaitGroup
	for _, address := range []string{s.node.Pages(), s.node.Address()} {
		for range 50 {
			conn := connect(t, address)
			trickles.Go(func() {
				ticker := time.NewTicker(50 * time.Millisecond)
				defer ticker.Stop()
				deadline := time.After(answerTimeout)
				for i := 0; ; i++ {
					text := "GET /metrics HTTP/1.1\r\nX: " + strings.Repeat("x", 4<<10)
					if address == s.node.Address() {
						text = http2.ClientPreface + strings.Repeat("\x00", 4<<10)
					}
					if _, err := conn.Write([]byte{text[min(i, len(text)-1)]}); err != nil {
						return
					}
					select {
					case <-ticker.C:
					case <-deadline:
						t.Errorf("%s still listens", address)
						return
					}
				}
			})
		}
	}
	s.mustWork()
	trickles.Wait()
}

// A header or a request beyond its limit is refused, and costs nobody else.
func TestOversizedHeaders(t *testing.T) {
	s := newScene(t)
	conn := connect(t, s.node.Pages())
	_, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: talos\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	if err == nil {
		answer := make([]byte, 12)
		_, err = io.ReadFull(conn, answer)
		if err == nil {
			require.Equal(t, "HTTP/1.1 431", string(answer))
		}
	}
	require.True(t, hungUp(t, conn))
}
