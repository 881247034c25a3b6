package storagetest

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

var argumentTests = []test{
	{"an id that no store takes fails with ErrInvalid", func(t *testing.T, s storage.Store) {
		for _, id := range []storage.ID{
			{},
			{Folder: "topic"},
			{Folder: "topic", Name: ".hidden"},
			{Folder: "topic", Name: ".."},
			{Folder: "topic", Name: "a/b"},
			{Folder: "topic", Name: "a b"},
			{Folder: "topic", Name: "a\x00"},
			{Folder: "/topic", Name: "a"},
			{Folder: "topic/", Name: "a"},
			{Folder: "topic//0", Name: "a"},
			{Folder: "../topic", Name: "a"},
			{Folder: "topic/.hidden", Name: "a"},
			{Folder: strings.Repeat("f", 256), Name: strings.Repeat("n", 257)},
		} {
			for call, err := range callAll(t.Context(), s, id) {
				if call == "List" {
					continue // takes only the folder, see below
				}
				require.ErrorIs(t, err, storage.ErrInvalid, "%s %q", call, id)
			}
		}
		requireListing(t, s, "", nil, nil)
	}},
	{"a folder that no store takes fails with ErrInvalid", func(t *testing.T, s storage.Store) {
		for _, folder := range []string{"/", "/topic", "topic/", "a//b", "..", ".hidden", "a/../b", "a b"} {
			_, err := s.List(t.Context(), folder)
			require.ErrorIs(t, err, storage.ErrInvalid, "%q", folder)
		}
	}},
	{"a context that has ended fails every call and changes nothing that exists", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.mustAppend(2)
		r := open(t, s, g.id)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for call, err := range callAll(ctx, s, storage.ID{Folder: "topic/0", Name: "b"}) {
			require.ErrorIs(t, err, context.Canceled, call)
		}
		_, err := r.Size(ctx)
		require.ErrorIs(t, err, context.Canceled)
		_, err = r.ReadAt(ctx, make([]byte, 1), 0)
		require.ErrorIs(t, err, context.Canceled)
		g.mustAppend(2)
		require.Equal(t, string(g.sent), string(read(t, s, g.id)))
	}},
}

// callAll makes every call of a store on one id and returns the errors.
func callAll(ctx context.Context, s storage.Store, id storage.ID) map[string]error {
	errs := map[string]error{}
	_, errs["Create"] = s.Create(ctx, id, []byte("head"), talos.Sync)
	_, errs["Recover"] = s.Recover(ctx, id)
	_, errs["Open"] = s.Open(ctx, id)
	_, errs["List"] = s.List(ctx, id.Folder)
	errs["Remove"] = s.Remove(ctx, id)
	return errs
}
