package storagetest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
)

var appendTests = []test{
	{"adds behind the head, one after the other", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		for range 5 {
			g.mustAppend(1)
			require.Equal(t, string(g.sent), string(read(t, s, g.id)))
		}
	}},
	{"completes in order, each one once, with many in flight", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.mustAppend(200)
		require.Equal(t, string(g.sent), string(read(t, s, g.id)))
	}},
	{"takes megabytes as well as single bytes", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		for i, n := range []int{1, 5 << 20, 1, 1 << 20, 262144 - 1, 2} {
			g.append(bytes.Repeat([]byte{byte('a' + i)}, n))
		}
		g.mustAppend(1)
		require.True(t, bytes.Equal(g.sent, read(t, s, g.id)))
	}},
	{"does not wait for a done function", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		gate, entered := make(chan struct{}), make(chan struct{})
		g.appender.Append([]byte("x"), func(error) { close(entered); <-gate })
		eventually(t, entered, "the done function of an append was called")
		returned, last := make(chan struct{}), make(chan error, 1)
		go func() {
			g.appender.Append([]byte("y"), func(err error) { last <- err })
			close(returned)
		}()
		eventually(t, returned, "an append returned while a done function ran")
		close(gate)
		require.NoError(t, eventually(t, last, "the last append completed"))
	}},
	{"runs on many segments at once", func(t *testing.T, s storage.Store) {
		segments := make([]*segment, 16)
		for i := range segments {
			segments[i] = create(t, s, storage.ID{Folder: fmt.Sprintf("topic/%d", i%4), Name: fmt.Sprintf("s%02d", i)})
		}
		var wg sync.WaitGroup
		for _, g := range segments {
			wg.Go(func() {
				for range 10 {
					g.appendN(5)
				}
			})
		}
		wg.Wait()
		for _, g := range segments {
			for _, err := range g.wait() {
				require.NoError(t, err)
			}
			require.Equal(t, string(g.sent), string(read(t, s, g.id)))
		}
	}},
	{"does not change what was acknowledged when the caller uses the buffer again", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		p := []byte("first")
		g.append(p)
		require.NoError(t, g.wait()[0])
		copy(p, "XXXXX")
		require.Equal(t, string(g.head)+"first", string(read(t, s, g.id)))
	}},
}

var endTests = []test{
	{"Seal waits for the appends in flight and keeps them all", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.appendN(50)
		require.NoError(t, g.appender.Seal(t.Context()))
		g.mu.Lock()
		completed := len(g.outcome)
		g.mu.Unlock()
		require.Equal(t, 50, completed, "appends that had completed when Seal returned")
		require.Equal(t, len(g.sent), g.acknowledged())
		require.Equal(t, string(g.sent), string(read(t, s, g.id)))
	}},
	{"Seal makes the appender dead", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.mustAppend(2)
		length := len(g.sent)
		require.NoError(t, g.appender.Seal(t.Context()))
		g.mustBeDead()
		require.ErrorIs(t, g.appender.Seal(t.Context()), storage.ErrDead)
		require.Len(t, read(t, s, g.id), length)
	}},
	{"Seal of a recovered segment fails with ErrDead", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.mustRecover()
		require.ErrorIs(t, g.appender.Seal(t.Context()), storage.ErrDead)
	}},
	{"Seal of an abandoned segment fails with ErrDead", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.appender.Abandon()
		require.ErrorIs(t, g.appender.Seal(t.Context()), storage.ErrDead)
	}},
	{"Abandon returns when every append has completed", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.appendN(50)
		g.appender.Abandon()
		g.mu.Lock()
		completed := len(g.outcome)
		g.mu.Unlock()
		require.Equal(t, 50, completed)
		for _, err := range g.wait() {
			if err != nil {
				require.ErrorIs(t, err, storage.ErrDead)
			}
		}
		g.mustBeDead()
		g.mustRecover()
	}},
	{"Abandon again, or after Seal, does nothing", func(t *testing.T, s storage.Store) {
		abandoned, sealed := create(t, s, id("a")), create(t, s, id("b"))
		sealed.mustAppend(3)
		require.NoError(t, sealed.appender.Seal(t.Context()))
		for range 2 {
			abandoned.appender.Abandon()
			sealed.appender.Abandon()
		}
		require.Equal(t, string(sealed.sent), string(read(t, s, sealed.id)))
	}},
}
