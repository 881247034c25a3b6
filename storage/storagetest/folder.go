package storagetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
)

var folderTests = []test{
	{"List of a folder that does not exist is empty", func(t *testing.T, s storage.Store) {
		requireListing(t, s, "", nil, nil)
		requireListing(t, s, "topic/0", nil, nil)
		create(t, s, id("a"))
		requireListing(t, s, "topic/1", nil, nil)
		requireListing(t, s, "topic/0/a", nil, nil)
	}},
	{"List shows a segment as soon as it is created", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		listing, err := s.List(t.Context(), "topic/0")
		require.NoError(t, err)
		require.Len(t, listing.Segments, 1)
		require.Equal(t, "a", listing.Segments[0].Name)
		require.Equal(t, int64(len(g.head)), listing.Segments[0].Size)
		require.False(t, listing.Segments[0].Sealed, "an open segment's length is not final")
	}},
	{"List gives the final size of a segment that has ended", func(t *testing.T, s storage.Store) {
		for _, how := range []string{"sealed", "recovered"} {
			g := create(t, s, storage.ID{Folder: how, Name: "a"})
			g.mustAppend(5)
			ends[how](g)
			listing, err := s.List(t.Context(), how)
			require.NoError(t, err)
			require.Len(t, listing.Segments, 1)
			require.Equal(t, int64(len(g.sent)), listing.Segments[0].Size)
		}
	}},
	{"List is sorted, and tells segments and folders apart", func(t *testing.T, s storage.Store) {
		for _, id := range []storage.ID{
			{Folder: "", Name: "m"},
			{Folder: "t", Name: "c"},
			{Folder: "t", Name: "a-2"},
			{Folder: "t", Name: "a-10"},
			{Folder: "t/1", Name: "x"},
			{Folder: "t/0", Name: "x"},
			{Folder: "t/0", Name: "y"},
			{Folder: "t/0/deep/er", Name: "z"},
			{Folder: "t2", Name: "x"},
		} {
			create(t, s, id)
		}
		requireListing(t, s, "", []string{"m"}, []string{"t", "t2"})
		requireListing(t, s, "t", []string{"a-10", "a-2", "c"}, []string{"0", "1"})
		requireListing(t, s, "t/0", []string{"x", "y"}, []string{"deep"})
		requireListing(t, s, "t/0/deep", nil, []string{"er"})
		requireListing(t, s, "t2", []string{"x"}, nil)
	}},
	{"Remove takes a segment away, however its life had ended", func(t *testing.T, s storage.Store) {
		for how, end := range ends {
			g := create(t, s, storage.ID{Folder: how, Name: "a"})
			create(t, s, storage.ID{Folder: how, Name: "b"})
			end(g)
			require.NoError(t, s.Remove(t.Context(), g.id))
			_, err := s.Open(t.Context(), g.id)
			require.ErrorIs(t, err, storage.ErrNotFound)
			_, err = s.Recover(t.Context(), g.id)
			require.ErrorIs(t, err, storage.ErrNotFound)
			requireListing(t, s, how, []string{"b"}, nil)
		}
	}},
	{"Remove of what is not there succeeds", func(t *testing.T, s storage.Store) {
		require.NoError(t, s.Remove(t.Context(), id("a")))
		g := create(t, s, id("a"))
		g.mustRecover()
		require.NoError(t, s.Remove(t.Context(), g.id))
		require.NoError(t, s.Remove(t.Context(), g.id))
		require.NoError(t, s.Remove(t.Context(), storage.ID{Folder: "never", Name: "a"}))
	}},
	{"Remove of the last segment leaves a folder that can be used again", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.mustRecover()
		require.NoError(t, s.Remove(t.Context(), g.id))
		requireListing(t, s, "topic/0", nil, nil)
		create(t, s, id("b")).mustAppend(1)
		requireListing(t, s, "topic/0", []string{"b"}, nil)
	}},
}

func requireListing(t *testing.T, s storage.Store, folder string, segments, folders []string) {
	t.Helper()
	listing, err := s.List(t.Context(), folder)
	require.NoError(t, err)
	var names []string
	for _, info := range listing.Segments {
		names = append(names, info.Name)
	}
	require.Equal(t, segments, names, "segments in %q", folder)
	require.Equal(t, folders, listing.Folders, "folders in %q", folder)
}
