package namenode

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

func status(name string) *wire.FileStatus {
	return &wire.FileStatus{
		FileType: wire.FileType_IS_FILE.Enum(), Path: []byte(name), Length: proto.Uint64(0),
		Permission: &wire.Permission{Perm: proto.Uint32(0o644)}, Owner: proto.String("kai"), Group: proto.String("kai"),
		ModificationTime: proto.Uint64(0), AccessTime: proto.Uint64(0),
	}
}

func page(remaining uint32, names ...string) reaction {
	listing := &wire.DirectoryListing{Remaining: &remaining}
	for _, name := range names {
		listing.Entries = append(listing.Entries, status(name))
	}
	return reaction{answer: &wire.GetListingResponse{Listing: listing}}
}

func TestListTurnsPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := start(t, 1, inTurn(page(3, "a", "b"), page(1, "c", "d"), page(0, "e")))
		entries, err := c.List(t.Context(), "/folder", true)
		require.NoError(t, err)
		var names []string
		for _, e := range entries {
			names = append(names, string(e.GetPath()))
		}
		require.Equal(t, []string{"a", "b", "c", "d", "e"}, names)
		var after []string
		for _, s := range w.seen() {
			var req wire.GetListingRequest
			require.NoError(t, proto.Unmarshal(s.req, &req))
			require.Equal(t, "/folder", req.GetSrc())
			require.True(t, req.GetNeedLocation())
			after = append(after, string(req.GetStartAfter()))
		}
		require.Equal(t, []string{"", "b", "d"}, after)
	})
}

func TestListEnds(t *testing.T) {
	for name, react := range map[string]reaction{
		"no such folder":            {answer: &wire.GetListingResponse{}},
		"an empty one":              page(0),
		"a page without an advance": page(5),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, w := start(t, 1, always(react))
				entries, err := c.List(t.Context(), "/folder", false)
				require.NoError(t, err)
				require.Empty(t, entries)
				require.Len(t, w.seen(), 1)
			})
		})
	}
}

// Some answers say by leaving something out that there is no such file.
func TestNothingIsNotFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := start(t, 1, always(reaction{answer: &wire.GetFileInfoResponse{}}))
		_, err := c.GetFileInfo(t.Context(), "/a")
		require.ErrorIs(t, err, ErrNotFound)
		_, err = c.GetBlockLocations(t.Context(), "/a")
		require.ErrorIs(t, err, ErrNotFound)
		_, err = c.Create(t.Context(), &wire.CreateRequest{
			Src: proto.String("/a"), Masked: &wire.Permission{Perm: proto.Uint32(0)}, ClientName: proto.String("x"),
			CreateFlag: proto.Uint32(1), CreateParent: proto.Bool(true), Replication: proto.Uint32(1), BlockSize: proto.Uint64(1),
		})
		require.ErrorIs(t, err, errNoFile)
	})
}
