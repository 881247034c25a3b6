package proxy_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/test/proxy"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long things may take that must happen.
const patience = 30 * time.Second

// echo is a server that sends back what it gets.
func echo(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		<-ended
	})
	return listener.Addr().String()
}

func open(t *testing.T) *proxy.Link {
	t.Helper()
	l, err := proxy.Open(echo(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func dial(t *testing.T, l *proxy.Link) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Address())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func say(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := conn.Write([]byte("hello"))
	require.NoError(t, err)
}

func hear(conn net.Conn, within time.Duration) error {
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, len("hello")))
	return err
}

func TestAnOpenLinkCarriesBothWays(t *testing.T) {
	l := open(t)
	conn := dial(t, l)
	for range 3 {
		say(t, conn)
		require.NoError(t, hear(conn, patience))
	}
	require.Zero(t, l.Felt())
}

func TestAHalfClosedConnectionGoesOn(t *testing.T) {
	conn := dial(t, open(t))
	say(t, conn)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	all, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "hello", string(all))
}

func TestACutBreaksAndRefuses(t *testing.T) {
	l := open(t)
	conn := dial(t, l)
	say(t, conn)
	require.NoError(t, hear(conn, patience))
	l.Cut()
	require.Error(t, hear(conn, patience))
	require.Equal(t, 1, l.Felt().Broken)

	if again, err := net.Dial("tcp", l.Address()); err == nil { // the system took it, the link does not
		require.Error(t, hear(again, patience))
		require.NoError(t, again.Close())
	}
	require.Eventually(t, func() bool { return l.Felt().Refused == 1 }, patience, time.Millisecond)

	l.Heal()
	conn = dial(t, l)
	say(t, conn)
	require.NoError(t, hear(conn, patience))
}

func TestAHoleSaysNothingAndHoldsBack(t *testing.T) {
	l := open(t)
	conn := dial(t, l)
	say(t, conn)
	require.NoError(t, hear(conn, patience))
	l.Hole()
	say(t, conn)
	require.Eventually(t, func() bool { return l.Felt().Held == 1 }, patience, time.Millisecond)
	err := hear(conn, 10*time.Millisecond)
	var late net.Error
	require.ErrorAs(t, err, &late)
	require.True(t, late.Timeout(), "the connection is not broken")
	l.Heal()
	require.NoError(t, hear(conn, patience))
}

func TestASlowLinkIsLate(t *testing.T) {
	const delay = 30 * time.Millisecond
	l := open(t)
	conn := dial(t, l)
	l.Slow(proxy.Slowness{Delay: delay, BytesPerSecond: 1000})
	begun := time.Now()
	say(t, conn)
	require.NoError(t, hear(conn, patience))
	require.GreaterOrEqual(t, time.Since(begun), 2*delay)
	require.Positive(t, l.Felt().Late)
}

func TestNothingRunsAfterClose(t *testing.T) {
	l, err := proxy.Open(echo(t))
	require.NoError(t, err)
	conn := dial(t, l)
	say(t, conn)
	require.NoError(t, hear(conn, patience))
	l.Hole()
	say(t, conn)
	require.NoError(t, l.Close())
	require.Error(t, hear(conn, patience))
}
