package storagetest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

var createTests = []test{
	{"makes a segment that holds its head", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		require.Equal(t, string(g.head), string(read(t, s, g.id)))
	}},
	{"fails with ErrExists while the first one is open", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		requireExists(t, s, g.id)
		g.mustAppend(1)
		require.Equal(t, string(g.sent), string(read(t, s, g.id)))
	}},
	{"fails with ErrExists once the first one is sealed, abandoned or recovered", func(t *testing.T, s storage.Store) {
		for name, end := range ends {
			g := create(t, s, id(name))
			end(g)
			requireExists(t, s, g.id)
			require.Equal(t, string(g.head), string(read(t, s, g.id)))
		}
	}},
	{"by many at once succeeds for one of them", func(t *testing.T, s storage.Store) {
		const tries = 16
		appenders, errs := make([]storage.Appender, tries), make([]error, tries)
		var wg sync.WaitGroup
		for i := range tries {
			wg.Go(func() { appenders[i], errs[i] = s.Create(t.Context(), id("a"), []byte{byte('a' + i)}, talos.Sync) })
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			if err != nil {
				require.ErrorIs(t, err, storage.ErrExists)
				continue
			}
			require.Equal(t, -1, winner, "two creates succeeded")
			winner = i
			require.NoError(t, appenders[i].Seal(t.Context()))
		}
		require.NotEqual(t, -1, winner, "no create succeeded")
		require.Equal(t, string(rune('a'+winner)), string(read(t, s, id("a"))))
	}},
	{"takes the same name in another folder, and no folder at all", func(t *testing.T, s storage.Store) {
		for _, folder := range []string{"", "topic", "topic/0", "topic/1", "other/deep/er"} {
			g := create(t, s, storage.ID{Folder: folder, Name: "a"})
			g.mustAppend(1)
			require.Equal(t, string(g.sent), string(read(t, s, g.id)))
		}
	}},
	{"of another name works after a Remove", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.mustRecover()
		require.NoError(t, s.Remove(t.Context(), g.id))
		create(t, s, id("b")).mustAppend(1)
	}},
}

// ends are the ways in which an appender's life may end without a failure.
var ends = map[string]func(*segment){
	"sealed":    func(g *segment) { require.NoError(g.t, g.appender.Seal(g.t.Context())) },
	"abandoned": func(g *segment) { g.appender.Abandon() },
	"recovered": func(g *segment) { g.mustRecover() },
}

func requireExists(t *testing.T, s storage.Store, id storage.ID) {
	t.Helper()
	_, err := s.Create(t.Context(), id, []byte("another head"), talos.Sync)
	require.ErrorIs(t, err, storage.ErrExists)
}
