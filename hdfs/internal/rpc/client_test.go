package rpc

import (
	"context"
	"errors"
	"math"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

func TestACallSaysWhoCallsWhat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{ClientID: [16]byte{7}})
		done := ask(t.Context(), c, Call{ID: 41, Retry: 2}, "/a")
		p := <-peers
		require.Equal(t, "kai", p.context.GetUser().GetEffectiveUser())
		require.Equal(t, testProtocol, p.context.GetProtocol())
		got := p.next()
		require.Equal(t, int32(41), got.header.GetCallId())
		require.Equal(t, int32(2), got.header.GetRetryCount())
		require.Equal(t, append([]byte{7}, make([]byte, 15)...), got.header.GetClientId())
		require.Equal(t, wire.RpcKind_RPC_PROTOCOL_BUFFER, got.header.GetKind())
		require.Equal(t, "getFileInfo", got.method.GetMethod())
		require.Equal(t, testProtocol, got.method.GetProtocol())
		require.Equal(t, uint64(1), got.method.GetVersion())
		p.answer(got)
		require.Equal(t, outcome{path: "/a"}, <-done)
	})
}

func TestAnswersComeInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{})
		first := ask(t.Context(), c, Call{}, "/a")
		p := <-peers
		a := p.next()
		second := ask(t.Context(), c, Call{}, "/b")
		b := p.next()
		p.answer(b)
		require.Equal(t, outcome{path: "/b"}, <-second)
		p.answer(a)
		require.Equal(t, outcome{path: "/a"}, <-first)
	})
}

func TestACallGivenUpLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{})
		reason := errors.New("the caller has had enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		first := ask(ctx, c, Call{}, "/a")
		p := <-peers
		a := p.next()
		second := ask(t.Context(), c, Call{}, "/b")
		b := p.next()

		cancel(reason)
		got := <-first
		require.ErrorIs(t, got.err, reason)
		require.NotErrorIs(t, got.err, ErrNotSent, "it was sent")

		p.answer(a) // late: nobody wants it
		p.answer(b)
		require.Equal(t, outcome{path: "/b"}, <-second)
		require.Empty(t, peers, "no other connection was made")
	})
}

func TestASilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{Timeout: 3 * time.Second})
		begun := time.Now()
		done := ask(t.Context(), c, Call{}, "/a")
		p := <-peers
		p.next()
		got := <-done
		require.ErrorIs(t, got.err, ErrTimeout)
		require.NotErrorIs(t, got.err, ErrNotSent)
		require.Equal(t, 3*time.Second, time.Since(begun))

		// The answer is still owed: after quietTime the connection counts as lost, so
		// the call that waits then need not wait for its own time.
		time.Sleep(quietTime - 4*time.Second)
		begun = time.Now()
		done = ask(t.Context(), c, Call{}, "/b")
		p.next()
		got = <-done
		require.ErrorIs(t, got.err, ErrLost)
		require.Equal(t, time.Second, time.Since(begun))

		done = ask(t.Context(), c, Call{}, "/c")
		p = <-peers
		p.answer(p.next())
		require.Equal(t, outcome{path: "/c"}, <-done, "the next call connects anew")
	})
}

func TestAServerThatReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{Timeout: time.Minute})
		begun := time.Now()
		done := ask(t.Context(), c, Call{}, "/a")
		<-peers
		require.ErrorIs(t, (<-done).err, ErrLost)
		require.Equal(t, writeTimeout, time.Since(begun))
	})
}

func TestAnIdleConnectionIsClosedAndDialledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{})
		done := ask(t.Context(), c, Call{}, "/a")
		p := <-peers
		p.answer(p.next())
		require.NoError(t, (<-done).err)

		time.Sleep(quietTime - time.Second)
		done = ask(t.Context(), c, Call{}, "/b")
		p.answer(p.next())
		require.NoError(t, (<-done).err, "not yet idle for long enough")

		begun := time.Now()
		_, err := p.r.ReadByte()
		require.Error(t, err, "the client hangs up")
		require.Equal(t, quietTime, time.Since(begun))

		done = ask(t.Context(), c, Call{}, "/c")
		p = <-peers
		p.answer(p.next())
		require.NoError(t, (<-done).err)
	})
}

func TestALostConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{})
		a := ask(t.Context(), c, Call{ID: 5}, "/a")
		p := <-peers
		p.next()
		require.NoError(t, p.conn.Close())
		require.ErrorIs(t, (<-a).err, ErrLost)

		a = ask(t.Context(), c, Call{ID: 5, Retry: 1}, "/a")
		p = <-peers
		again := p.next()
		require.Equal(t, int32(5), again.header.GetCallId())
		require.Equal(t, int32(1), again.header.GetRetryCount())
		p.answer(again)
		require.NoError(t, (<-a).err)
	})
}

func TestCallsInFlightAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{})
		var all []<-chan outcome
		for range maxOutstanding {
			all = append(all, ask(t.Context(), c, Call{}, "/a"))
		}
		p := <-peers
		calls := make([]received, 0, maxOutstanding)
		for range maxOutstanding {
			calls = append(calls, p.next())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := <-ask(ctx, c, Call{}, "/one-too-many")
		require.ErrorIs(t, got.err, ErrNotSent)
		require.ErrorIs(t, got.err, context.DeadlineExceeded)
		for _, one := range calls {
			p.answer(one)
		}
		for _, done := range all {
			require.NoError(t, (<-done).err)
		}
	})
}

func TestADialThatFails(t *testing.T) {
	var dials atomic.Int32
	refused := errors.New("connection refused")
	c := New(Config{Address: "namenode:8020", Dial: func(context.Context, string) (net.Conn, error) {
		dials.Add(1)
		return nil, refused
	}})
	defer c.Close()
	got := <-ask(t.Context(), c, Call{}, "/a")
	require.ErrorIs(t, got.err, ErrNotSent)
	require.ErrorIs(t, got.err, refused)
	require.EqualError(t, got.err, "getFileInfo at namenode:8020: not sent: connection refused")
	require.Equal(t, int32(1), dials.Load())
}

func TestADialThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{Dial: func(ctx context.Context, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		begun := time.Now()
		require.ErrorIs(t, (<-ask(t.Context(), c, Call{}, "/a")).err, ErrNotSent)
		require.Equal(t, connectTimeout, time.Since(begun))

		done := ask(t.Context(), c, Call{}, "/b")
		synctest.Wait()
		c.Close()
		got := <-done
		require.ErrorIs(t, got.err, ErrClosed)
		require.ErrorIs(t, got.err, ErrNotSent)
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peers := listen(t, Config{})
		done := ask(t.Context(), c, Call{}, "/a")
		p := <-peers
		p.next()
		c.Close()
		require.ErrorIs(t, (<-done).err, ErrClosed)
		require.ErrorIs(t, (<-ask(t.Context(), c, Call{}, "/b")).err, ErrClosed)
		c.Close()
	})
}

func TestACallWhoseContextHasEndedIsNotMade(t *testing.T) {
	c := New(Config{Dial: func(context.Context, string) (net.Conn, error) {
		return nil, errors.New("nothing need be asked")
	}})
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, (<-ask(ctx, c, Call{}, "/a")).err, context.Canceled)
}

func TestIDsBeginAnewAtTheEnd(t *testing.T) {
	var ids atomic.Int32
	require.Equal(t, int32(1), NextID(&ids))
	require.Equal(t, int32(2), NextID(&ids))
	ids.Store(math.MaxInt32 - 1)
	require.Equal(t, int32(math.MaxInt32), NextID(&ids))
	require.Equal(t, int32(1), NextID(&ids))
}
