package storagetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// recoverTests follow a zombie: an appender that goes on after somebody else
// recovered its segment.
var recoverTests = []test{
	{"stops an appender that has not appended yet", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		require.Equal(t, int64(len(g.head)), g.mustRecover())
		requireZombie(g)
	}},
	{"stops an appender whose appends are all acknowledged", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.mustAppend(10)
		require.Equal(t, int64(len(g.sent)), g.mustRecover())
		requireZombie(g)
	}},
	{"stops an appender with appends in flight", func(t *testing.T, s storage.Store) {
		rounds(t, 20, func(t *testing.T, round int) {
			g := create(t, s, id(fmt.Sprint("a", round)))
			g.mustAppend(round % 3)
			g.appendN(20)
			g.mustRecover()
			requireZombie(g)
		})
	}},
	{"stops an appender that never pauses", func(t *testing.T, s storage.Store) {
		rounds(t, 20, func(t *testing.T, round int) { raceWithAppends(t, s, id(fmt.Sprint("a", round))) })
	}},
	{"makes the length final even while Create still runs", func(t *testing.T, s storage.Store) {
		rounds(t, 20, func(t *testing.T, round int) { raceWithCreate(t, s, id(fmt.Sprint("a", round))) })
	}},
	{"finds all of a segment that was abandoned", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.mustAppend(5)
		g.appender.Abandon()
		require.Equal(t, int64(len(g.sent)), g.mustRecover())
	}},
	{"of a sealed segment changes nothing", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.mustAppend(5)
		require.NoError(t, g.appender.Seal(t.Context()))
		require.Equal(t, int64(len(g.sent)), g.mustRecover())
		require.Equal(t, string(g.sent), string(read(t, s, g.id)))
	}},
	{"again finds the same length", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.appendN(20)
		first := g.mustRecover()
		requireZombie(g)
		require.Equal(t, first, g.mustRecover())
	}},
	{"by several at once finds one length", func(t *testing.T, s storage.Store) {
		rounds(t, 10, func(t *testing.T, round int) {
			g := create(t, s, id(fmt.Sprint("a", round)))
			g.appendN(20)
			infos, errs := make([]storage.Info, 4), make([]error, 4)
			var wg sync.WaitGroup
			for i := range infos {
				wg.Go(func() { infos[i], errs[i] = s.Recover(t.Context(), g.id) })
			}
			wg.Wait()
			size := g.mustRecover()
			for i := range infos {
				require.NoError(t, errs[i])
				require.Equal(t, size, infos[i].Size)
			}
		})
	}},
	{"while it is being sealed leaves all that was acknowledged", func(t *testing.T, s storage.Store) {
		rounds(t, 20, func(t *testing.T, round int) {
			g := create(t, s, id(fmt.Sprint("a", round)))
			g.appendN(10)
			sealed := make(chan error, 1)
			go func() { sealed <- g.appender.Seal(t.Context()) }()
			g.mustRecover()
			if err := eventually(t, sealed, "Seal returned"); err == nil {
				require.Len(t, g.sent, int(g.mustRecover()))
				require.Equal(t, len(g.sent), g.acknowledged())
			} else {
				require.ErrorIs(t, err, storage.ErrDead)
			}
		})
	}},
	{"leaves other segments alone", func(t *testing.T, s storage.Store) {
		g, other := create(t, s, id("a")), create(t, s, id("b"))
		g.mustRecover()
		// A store may break other appenders of the same writer, but what they
		// acknowledge stands.
		other.appendN(5)
		other.mustRecover()
	}},
	{"of a segment that is not there fails with ErrNotFound", func(t *testing.T, s storage.Store) {
		create(t, s, id("a"))
		for _, missing := range []storage.ID{id("b"), {Folder: "topic/1", Name: "a"}, {Name: "a"}} {
			_, err := s.Recover(t.Context(), missing)
			require.ErrorIs(t, err, storage.ErrNotFound, "%s", missing)
		}
	}},
}

// rounds runs rounds of a test side by side: a recovery may wait for another process.
func rounds(t *testing.T, n int, round func(t *testing.T, number int)) {
	t.Helper()
	for number := range n {
		t.Run(strconv.Itoa(number), func(t *testing.T) {
			t.Parallel()
			round(t, number)
		})
	}
}

// requireZombie requires that nothing the recovered appender does has an effect.
func requireZombie(g *segment) {
	g.t.Helper()
	before := read(g.t, g.store, g.id)
	g.mustBeDead()
	require.ErrorIs(g.t, g.appender.Seal(g.t.Context()), storage.ErrDead)
	g.appender.Abandon()
	require.Equal(g.t, string(before), string(read(g.t, g.store, g.id)))
	info, err := g.store.Recover(g.t.Context(), g.id)
	require.NoError(g.t, err)
	require.Equal(g.t, int64(len(before)), info.Size)
}

func raceWithAppends(t *testing.T, s storage.Store, id storage.ID) {
	const inFlight = 4
	g := create(t, s, id)
	started, stopped := make(chan struct{}), make(chan struct{})
	slots := make(chan struct{}, inFlight)
	g.onDone(func() { <-slots })
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			slots <- struct{}{}
			if n == inFlight {
				close(started)
			}
			if g.failed() {
				return
			}
			g.append(fmt.Appendf(nil, "append %d;", n))
		}
	}()
	eventually(t, started, "some appends completed")
	info, err := s.Recover(t.Context(), id)
	require.NoError(t, err)
	eventually(t, stopped, "the appender found out")
	require.Equal(t, info.Size, g.mustRecover(), "the length changed after Recover had returned")
	g.onDone(nil)
	requireZombie(g)
}

func raceWithCreate(t *testing.T, s storage.Store, id storage.ID) {
	type recovered struct {
		info storage.Info
		err  error
	}
	found, created := make(chan recovered, 1), make(chan struct{})
	go func() {
		for last := false; ; {
			info, err := s.Recover(t.Context(), id)
			if !errors.Is(err, storage.ErrNotFound) || last {
				found <- recovered{info, err}
				return
			}
			select {
			case <-created:
				last = true // so it must be found now
			default:
			}
		}
	}()
	head := []byte("head")
	appender, err := s.Create(t.Context(), id, head, talos.Sync)
	close(created)
	r := eventually(t, found, "Recover returned")
	if err != nil {
		return // Create may fail, and the segment may then exist or not
	}
	t.Cleanup(appender.Abandon)
	require.NoError(t, r.err)
	g := &segment{t: t, store: s, id: id, appender: appender, head: head, sent: head, changed: make(chan struct{}, 1)}
	g.mustBeDead()
	require.Equal(t, r.info.Size, g.mustRecover(), "the length changed after Recover had returned")
}
