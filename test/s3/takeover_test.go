package s3_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/s3"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/minio"
)

// taker is a store that takes over the segment of another one.
func taker(t *testing.T) (u takeover) {
	u.at = minio.ForTest(t)
	u.others = open(t, u.at, nil)
	u.owner = create(t, u.others, id)
	u.pages = new(atomic.Int64)
	u.Store = open(t, u.at, hook(func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if strings.Contains(r.URL.Query().Get("prefix"), "chunks/") {
			u.pages.Add(1)
		}
		return send()
	}).wrap)
	return u
}

type takeover struct {
	*s3.Store
	at     *url.URL
	others *s3.Store
	owner  *writer
	// pages counts the listings of chunks.
	pages *atomic.Int64
}

// take lists, recovers and reads, as whoever opens a partition does.
func (u takeover) take(t *testing.T, between func()) string {
	listing, err := u.List(t.Context(), id.Folder)
	require.NoError(t, err)
	require.Len(t, listing.Segments, 1)
	between()
	_, err = u.Recover(t.Context(), id)
	require.NoError(t, err)
	return string(read(t, u.Store, id))
}

func TestATakeoverListsASegmentOnce(t *testing.T) {
	u := taker(t)
	u.owner.mustAppend(1200)
	require.Equal(t, string(u.owner.sent), u.take(t, func() {}))
	require.EqualValues(t, 2+1, u.pages.Load(), "two pages, and what came behind them")
	require.Equal(t, string(u.owner.sent), string(read(t, u.Store, id)), "what was handed over is gone: the next one lists")
	require.EqualValues(t, 3+2, u.pages.Load())
}

func TestATakeoverMissesNothingThatComesWhileItGoesOn(t *testing.T) {
	u := taker(t)
	u.owner.mustAppend(5)
	got := u.take(t, func() { u.owner.mustAppend(20) })
	require.Equal(t, string(u.owner.sent), got)
}

func TestATakeoverOfWhatWasRemovedMeanwhileFindsNothing(t *testing.T) {
	for what, look := range map[string]func(takeover) error{
		"listed, to recover": func(u takeover) error { _, err := u.Recover(t.Context(), id); return err },
		"listed, to read":    func(u takeover) error { _, err := u.Open(t.Context(), id); return err },
		"recovered, to read": func(u takeover) error { _, err := u.Open(t.Context(), id); return err },
	} {
		t.Run(what, func(t *testing.T) {
			u := taker(t)
			u.owner.mustAppend(5)
			_, err := u.List(t.Context(), id.Folder)
			require.NoError(t, err)
			if strings.HasPrefix(what, "recovered") {
				_, err := u.Recover(t.Context(), id)
				require.NoError(t, err)
			}
			require.NoError(t, u.others.Remove(t.Context(), id))
			require.ErrorIs(t, look(u), storage.ErrNotFound)
			listing, err := u.List(t.Context(), id.Folder)
			require.NoError(t, err)
			require.Empty(t, listing.Segments)
		})
	}
}

// What the index says of a segment that its owner has sealed meanwhile still tells
// that a chunk is missing: no seal is put into the hole.
func TestATakeoverPutsNoSealIntoAHole(t *testing.T) {
	u := taker(t)
	u.owner.mustAppend(5)
	_, err := u.List(t.Context(), id.Folder)
	require.NoError(t, err)
	u.owner.mustAppend(20)
	require.NoError(t, u.owner.appender.Seal(t.Context()))
	lose(t, u.at, "chunks/topic/0/a!/0000000010")
	before := keys(t, u.at)
	_, err = u.Recover(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, before, keys(t, u.at))
	_, err = u.Open(t.Context(), id)
	require.ErrorIs(t, err, talos.CorruptSegment)
}
