package inspect_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/storage/inspect"
)

// verifyFigures verifies the one segment there is and returns what it told of
// its progress.
func verifyFigures(t *testing.T, store storage.Store) (inspect.Finding, []int64) {
	t.Helper()
	entries, err := inspect.List(t.Context(), store)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	var figures []int64
	f, err := inspect.Verify(t.Context(), store, entries[0], func(done int64) { figures = append(figures, done) })
	require.NoError(t, err)
	return f, figures
}

// Of a sound segment, progress is told at the end of each frame.
func TestVerifyTellsItsProgressFrameByFrame(t *testing.T) {
	n := name(1, 1, 0)
	for _, sealed := range []bool{false, true} {
		all, ends := content(t, n, 3, sealed)
		if sealed {
			ends = append(ends, len(all))
		}
		store := newStore(t)
		put(t, store, n, all)
		_, figures := verifyFigures(t, store)
		require.Len(t, figures, len(ends), "sealed: %v", sealed)
		for i, end := range ends {
			require.EqualValues(t, end, figures[i], "sealed: %v, frame %d", sealed, i)
		}
	}
}

// Whatever a segment's state, the figures ascend and end with its size, so that
// those of several segments add up to the size of all.
func TestVerifyProgressEndsWithTheSize(t *testing.T) {
	n := name(1, 1, 0)
	sealed, _ := content(t, n, 3, true)
	open, ends := content(t, n, 3, false)
	for _, c := range []struct {
		what  string
		bytes []byte
		state inspect.State
	}{
		{"sealed", sealed, inspect.Sealed},
		{"unsealed", open, inspect.Unsealed},
		{"torn", open[:len(open)-5], inspect.Torn},
		{"ambiguous", flip(open, len(open)-20), inspect.Ambiguous},
		{"damaged in the middle", flip(sealed, ends[1]+30), inspect.Damaged},
		{"damaged at the start", flip(sealed, 0), inspect.Damaged},
		{"of one byte", []byte{'x'}, inspect.Damaged},
	} {
		t.Run(c.what, func(t *testing.T) {
			store := newStore(t)
			put(t, store, n, c.bytes)
			f, figures := verifyFigures(t, store)
			require.Equal(t, c.state, f.State)
			require.IsNonDecreasing(t, figures)
			require.NotEmpty(t, figures)
			require.Equal(t, f.Size, figures[len(figures)-1])
			require.EqualValues(t, len(c.bytes), f.Size)
		})
	}
}

// A segment that can't be read to its end is not told as done.
func TestVerifyProgressStopsWithAnError(t *testing.T) {
	n := name(1, 1, 0)
	all, _ := content(t, n, 2000, true) // several reads
	inner := newStore(t)
	put(t, inner, n, all)
	entries, err := inspect.List(t.Context(), inner)
	require.NoError(t, err)

	var last int64
	lost := errors.New("the store is gone")
	store := faulty.New(inner, func(c faulty.Call) (f faulty.Fault) {
		if c.Op == faulty.Read && last > 0 {
			f.Before = faulty.Fail(lost)
		}
		return f
	})
	_, err = inspect.Verify(t.Context(), store, entries[0], func(done int64) { last = done })
	require.ErrorIs(t, err, lost)
	require.Positive(t, last)
	require.Less(t, last, int64(len(all)))
}
