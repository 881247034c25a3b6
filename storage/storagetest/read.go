package storagetest

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
)

var readTests = []test{
	{"of any range gives its bytes, and io.EOF only where they end", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("abc")) // the head is "head of abc;", 12 bytes
		g.append([]byte("0123456789"))
		require.NoError(t, g.wait()[0])
		require.NoError(t, g.appender.Seal(t.Context()))
		r := open(t, s, g.id)
		for _, c := range []struct {
			off, length int64
			want        string
			err         error
		}{
			{0, 4, "head", nil},
			{8, 6, "abc;01", nil},
			{12, 10, "0123456789", nil},
			{21, 1, "9", nil},
			{0, 22, "head of abc;0123456789", nil},
			{20, 4, "89", io.EOF},
			{0, 23, "head of abc;0123456789", io.EOF},
			{22, 1, "", io.EOF},
			{1000, 1, "", io.EOF},
		} {
			p := make([]byte, c.length)
			n, err := r.ReadAt(t.Context(), p, c.off)
			require.Equal(t, c.want, string(p[:n]), "%d bytes at %d", c.length, c.off)
			if c.err != nil {
				require.ErrorIs(t, err, c.err, "%d bytes at %d", c.length, c.off)
			} else {
				require.NoError(t, err, "%d bytes at %d", c.length, c.off)
			}
		}
		_, err := r.ReadAt(t.Context(), make([]byte, 1), -1)
		require.Error(t, err, "a negative offset")
		require.NotErrorIs(t, err, io.EOF, "a negative offset")
	}},
	{"works while the segment grows", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		r := open(t, s, g.id)
		for range 5 {
			from := len(g.sent)
			g.mustAppend(3)
			size, err := r.Size(t.Context())
			require.NoError(t, err)
			require.GreaterOrEqual(t, size, int64(len(g.sent)))
			p := make([]byte, len(g.sent)-from)
			_, err = r.ReadAt(t.Context(), p, int64(from))
			require.NoError(t, err)
			require.Equal(t, string(g.sent[from:]), string(p))
		}
	}},
	{"gives the final Size after Seal or Recover, also to a reader opened before", func(t *testing.T, s storage.Store) {
		for _, how := range []string{"sealed", "recovered"} {
			g := create(t, s, id(how))
			r := open(t, s, g.id)
			g.mustAppend(3)
			ends[how](g)
			size, err := r.Size(t.Context())
			require.NoError(t, err)
			require.Equal(t, int64(len(g.sent)), size)
		}
	}},
	{"may be done by many through one reader", func(t *testing.T, s storage.Store) {
		g := create(t, s, id("a"))
		g.mustAppend(100)
		r := open(t, s, g.id)
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				for off := i; off+64 <= len(g.sent) && errs[i] == nil; off += 97 {
					p := make([]byte, 64)
					if _, err := r.ReadAt(t.Context(), p, int64(off)); err != nil {
						errs[i] = err
					} else if !bytes.Equal(p, g.sent[off:off+64]) {
						errs[i] = fmt.Errorf("other bytes at %d", off)
					}
				}
			})
		}
		wg.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
	}},
	{"of a segment that is not there fails with ErrNotFound", func(t *testing.T, s storage.Store) {
		create(t, s, id("a"))
		for _, missing := range []storage.ID{id("b"), {Folder: "topic/1", Name: "a"}, {Name: "a"}, {Folder: "topic/0/a", Name: "b"}, {Folder: "topic", Name: "0"}} {
			_, err := s.Open(t.Context(), missing)
			require.ErrorIs(t, err, storage.ErrNotFound, "%s", missing)
		}
	}},
}
