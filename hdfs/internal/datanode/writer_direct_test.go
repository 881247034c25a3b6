package datanode

import (
	"bytes"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// short is a connection that takes no more than n bytes of a direct write.
type short struct {
	syscall.RawConn
	direct *direct
	n      int
}

func (s *short) Write(f func(fd uintptr) bool) error {
	s.direct.bytes = s.direct.bytes[:min(s.n, len(s.direct.bytes))]
	if len(s.direct.bytes) == 0 {
		return syscall.EAGAIN
	}
	return s.RawConn.Write(f)
}

func TestWhatADirectWriteLeavesIsSentByTheSender(t *testing.T) {
	nodes := three(t)
	w := connected(t, Config{}, nodes...)
	var want []byte
	for i := range 300 {
		w.mu.Lock()
		for _, l := range w.legs {
			require.NotNil(t, l.direct.raw)
			if s, ok := l.direct.raw.(*short); ok {
				l.direct.raw = s.RawConn
			}
			if rand.N(4) > 0 {
				l.direct.raw = &short{RawConn: l.direct.raw, direct: &l.direct, n: rand.N(2 * maxDirect)}
			}
		}
		w.mu.Unlock()
		p := bytes.Repeat([]byte{byte(i)}, 1+rand.N(2*maxDirect))
		appendAndWait(t, w, p, i%3 == 0)
		want = append(want, p...)
	}
	require.NoError(t, w.Finish(t.Context()))
	for _, f := range nodes {
		data, ended := f.got()
		require.True(t, ended)
		require.True(t, bytes.Equal(want, data))
	}
}

func TestASmallPacketOnAnIdleConnectionWakesNoSender(t *testing.T) {
	w := connected(t, Config{}, three(t)...)
	appendAndWait(t, w, []byte("the senders wait from now on"), false)
	w.mu.Lock()
	for _, l := range w.legs {
		for !l.waiting {
			w.mu.Unlock()
			w.mu.Lock()
		}
	}
	w.mu.Unlock()
	durable := make(chan error, 1)
	w.mu.Lock()
	w.pending.push(pending{p: []byte("small"), last: uncutSeqno, done: func(err error) { durable <- err }})
	w.uncut++
	w.cut()
	for _, l := range w.legs {
		require.True(t, l.waiting)
		require.Equal(t, w.newest, l.written)
	}
	w.mu.Unlock()
	require.NoError(t, <-durable)
}
