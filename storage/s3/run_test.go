package s3

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	for _, c := range []struct {
		what    string
		objects []object
		next    int64
		size    int64
		sealed  bool
		beyond  bool
		broken  bool
	}{
		{what: "nothing"},
		{what: "a head", objects: []object{{0, 5}}, next: 1, size: 5},
		{what: "some chunks, in any order", objects: []object{{2, 1}, {0, 5}, {1, 3}}, next: 3, size: 9},
		{what: "sealed", objects: []object{{0, 5}, {1, 3}, {2, 0}}, next: 2, size: 8, sealed: true},
		{what: "noise behind the seal", objects: []object{{0, 5}, {1, 0}, {2, 7}, {3, 7}}, next: 1, size: 5, sealed: true, beyond: true},
		{what: "a gap of a failed append", objects: []object{{0, 5}, {2, 7}}, next: 1, size: 5, beyond: true},
		{what: "a gap before a wall", objects: []object{{0, 5}, {300, 0}}, next: 1, size: 5, beyond: true},
		{what: "the farthest that a failed append can lie", objects: []object{{0, 5}, {window, 7}}, next: 1, size: 5, beyond: true},
		{what: "what can't be without the one that is missing", objects: []object{{0, 5}, {window + 1, 7}}, next: 1, size: 5, beyond: true, broken: true},
		{what: "removed", objects: []object{{0, 0}, {4, 0}}, sealed: true, beyond: true},
	} {
		t.Run(c.what, func(t *testing.T) {
			r := run{}.extend(c.objects)
			require.Equal(t, c.next, r.next())
			require.Equal(t, c.size, r.size())
			require.Equal(t, c.sealed, r.sealed)
			require.Equal(t, c.beyond, r.beyond)
			require.Equal(t, c.broken, r.broken())
			require.Equal(t, c.next > 0, r.exists())
		})
	}
}

func TestARunGrowsAndTheOldOneStays(t *testing.T) {
	first := run{}.extend([]object{{0, 5}, {1, 3}})
	a, b := first.extend([]object{{2, 4}, {3, 0}}), first.extend([]object{{2, 9}})
	require.EqualValues(t, 8, first.size())
	require.False(t, first.sealed)
	require.EqualValues(t, 12, a.size())
	require.True(t, a.sealed)
	require.EqualValues(t, 17, b.size())
}

func TestTheEndOfARun(t *testing.T) {
	objects := []object{{0, 5}}
	require.Equal(t, objects, run{}.extend(objects).end())
	for n := range int64(2 * window) {
		objects = append(objects, object{n + 1, 3})
	}
	require.Equal(t, objects[window+1:], run{}.extend(objects).end(), "the chunk before them is acknowledged")
	objects = append(objects, object{2*window + 1, 0})
	require.Equal(t, objects[window+1:], run{}.extend(objects).end(), "and the seal")
	require.Empty(t, run{}.end())
}

func TestCovering(t *testing.T) {
	r := run{}.extend([]object{{0, 5}, {1, 3}, {2, 4}})
	for _, c := range []struct {
		off, end int64
		from, to int
	}{
		{0, 12, 0, 3},
		{0, 5, 0, 1},
		{4, 6, 0, 2},
		{5, 8, 1, 2},
		{8, 9, 2, 3},
		{12, 12, 3, 3},
	} {
		from, to := r.covering(c.off, c.end)
		require.Equal(t, c.from, from, "%d to %d", c.off, c.end)
		require.Equal(t, c.to, to, "%d to %d", c.off, c.end)
	}
}
