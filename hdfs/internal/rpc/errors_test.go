package rpc

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

func TestAnExceptionNamesClassAndFirstLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{})
		done := ask(t.Context(), c, Call{}, "/a")
		p := <-peers
		p.throw(p.next().header.GetCallId(), wire.RpcStatus_RPC_ERROR,
			"org.apache.hadoop.security.AccessControlException", "Permission denied: user=kai\n\tat org.apache.Server.run(Server.java:1)\n")
		err := (<-done).err
		require.EqualError(t, err, "getFileInfo at namenode:8020: AccessControlException: Permission denied: user=kai")
		var remote *RemoteError
		require.ErrorAs(t, err, &remote)
		require.False(t, remote.Fatal)

		done = ask(t.Context(), c, Call{}, "/b")
		p.answer(p.next())
		require.NoError(t, (<-done).err, "the connection lives on")
	})
}

func TestShortClass(t *testing.T) {
	for class, want := range map[string]string{
		"java.io.FileNotFoundException":                        "FileNotFoundException",
		"org.apache.hadoop.hdfs.server.x.Outer$InnerException": "InnerException",
		"Bare": "Bare",
		"":     "",
	} {
		require.Equal(t, want, (&RemoteError{Class: class}).ShortClass())
	}
	require.EqualError(t, &RemoteError{Message: "x"}, "an error without a class: x")
}

// A fatal answer ends the connection: the call that it names was answered,
// whether the others were carried out is unknown.
func TestAFatalAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{})
		first := ask(t.Context(), c, Call{}, "/a")
		p := <-peers
		a := p.next()
		second := ask(t.Context(), c, Call{}, "/b")
		p.next()
		p.throw(a.header.GetCallId(), wire.RpcStatus_RPC_FATAL, "java.io.IOException", "bad header")
		var remote *RemoteError
		require.ErrorAs(t, (<-first).err, &remote)
		require.True(t, remote.Fatal)
		require.ErrorIs(t, (<-second).err, ErrLost)
	})
}

func TestAConnectionThatIsRefusedAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{})
		done := ask(t.Context(), c, Call{}, "/a")
		p := <-peers
		p.next()
		p.throw(-1, wire.RpcStatus_RPC_FATAL, "org.apache.hadoop.security.authorize.AuthorizationException", "kai may not")
		err := (<-done).err
		require.NotErrorIs(t, err, ErrLost)
		require.ErrorContains(t, err, "AuthorizationException: kai may not")
	})
}

func TestAClusterWithKerberos(t *testing.T) {
	t.Run("negotiates", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, peers := listen(t, Config{})
			done := ask(t.Context(), c, Call{}, "/a")
			p := <-peers
			p.next()
			id := int32(saslID)
			p.send(encodeAnswer(t, &wire.RpcResponseHeader{CallId: proto.Uint32(uint32(id)), Status: wire.RpcStatus_RPC_SUCCESS.Enum()},
				&wire.Sasl{State: wire.SaslState_SASL_NEGOTIATE.Enum()}))
			require.ErrorIs(t, (<-done).err, ErrKerberos)
		})
	})
	t.Run("refuses", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, peers := listen(t, Config{})
			done := ask(t.Context(), c, Call{}, "/a")
			p := <-peers
			p.next()
			p.throw(-1, wire.RpcStatus_RPC_FATAL, "org.apache.hadoop.security.AccessControlException",
				"SIMPLE authentication is not enabled.  Available:[TOKEN, KERBEROS]")
			require.ErrorIs(t, (<-done).err, ErrKerberos)
		})
	})
}

func TestAnAddressThatIsNoHadoopServer(t *testing.T) {
	for name, test := range map[string]struct {
		answer []byte
		says   string
	}{
		"web server":      {[]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), "it answers in HTTP, so it is a web port"},
		"TLS server":      {[]byte{0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x0a}, "a frame of 352518400 bytes is announced"},
		"something small": {[]byte{0, 0, 0, 3, 1, 2, 3}, "its header"},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, answering(test.answer))
			err := (<-ask(t.Context(), c, Call{}, "/a")).err
			require.ErrorIs(t, err, ErrProtocol)
			require.ErrorContains(t, err, "this address does not speak Hadoop RPC")
			require.ErrorContains(t, err, test.says)
		})
	}
	t.Run("hangs up", func(t *testing.T) {
		c := serve(t, func(conn net.Conn) { _, _ = io.ReadFull(conn, make([]byte, 64)) })
		err := (<-ask(t.Context(), c, Call{}, "/a")).err
		if !errors.Is(err, ErrNotSent) { // it may hang up before the call is written
			require.ErrorIs(t, err, ErrLost)
		}
		require.ErrorContains(t, err, "is this the RPC port?")
	})
}

// Nonsense after answers that made sense is a damaged connection, not another
// sort of server.
func TestAnOversizedFrameInMidStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{})
		done := ask(t.Context(), c, Call{}, "/a")
		p := <-peers
		p.answer(p.next())
		require.NoError(t, (<-done).err)
		done = ask(t.Context(), c, Call{}, "/b")
		p.next()
		p.send([]byte{0x04, 0, 0, 1})
		err := (<-done).err
		require.ErrorIs(t, err, ErrLost)
		require.NotErrorIs(t, err, ErrProtocol)
		require.ErrorContains(t, err, "a frame of 67108865 bytes is announced, the limit is 67108864")
	})
}

// A frame that stalls halfway is not waited for longer than silence.
func TestAFrameThatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{Timeout: time.Minute})
		done := ask(t.Context(), c, Call{}, "/a")
		p := <-peers
		p.next()
		begun := time.Now()
		p.send([]byte{0, 0, 0, 9, 1})
		require.ErrorIs(t, (<-done).err, ErrLost)
		require.Equal(t, quietTime, time.Since(begun))
	})
}
