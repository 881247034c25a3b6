package partition

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
)

func fill(t *tail, from, to talos.Offset, size int) {
	for o := from; o < to; o++ {
		t.add(group{base: o, next: o + 1, payload: make([]byte, size)})
	}
}

func offsets(t *tail) []talos.Offset {
	all := []talos.Offset{}
	for _, g := range *t.groups.Load() {
		all = append(all, g.base)
	}
	return all
}

func TestTailsOfANodeShareOneBudgetAndTheOldestGroupGoes(t *testing.T) {
	budget := NewTails(4 * (1000 + groupOverhead))
	idle, busy := newTail(budget), newTail(budget)
	fill(idle, 0, 2, 1000)
	fill(busy, 0, 2, 1000)
	require.Equal(t, []talos.Offset{0, 1}, offsets(idle))

	fill(busy, 2, 3, 1000)
	require.Equal(t, []talos.Offset{1}, offsets(idle), "its first group was the oldest of all")
	require.Equal(t, []talos.Offset{0, 1, 2}, offsets(busy))

	fill(busy, 3, 9, 1000)
	require.Empty(t, offsets(idle))
	require.Equal(t, []talos.Offset{5, 6, 7, 8}, offsets(busy))
	require.LessOrEqual(t, budget.Bytes(), budget.limit)

	busy.clear()
	require.Zero(t, budget.Bytes())
	require.Zero(t, budget.order.Len())
}

func TestAGroupBeyondTheWholeBudgetIsNotKept(t *testing.T) {
	tail := newTail(NewTails(100))
	fill(tail, 0, 1, 1000)
	require.Empty(t, offsets(tail))
	require.Zero(t, tail.budget.Bytes())
}

func TestTailGivesWhatLiesBelowTheEndThatTheReaderSees(t *testing.T) {
	tail := newTail(NewTails(0))
	for o := talos.Offset(10); o < 20; o += 2 {
		tail.add(group{base: o, next: o + 2, payload: []byte("x")})
	}
	for _, c := range []struct {
		offset, end talos.Offset
		want        string
	}{
		{9, 20, "not here"},
		{10, 20, "10..20"},
		{13, 20, "12..20"},
		{19, 20, "18..20"},
		{13, 16, "12..16"},
		{20, 20, "not here"},
		{16, 16, "not here"},
	} {
		got := "not here"
		if groups, ok := tail.from(c.offset, c.end); ok {
			got = fmt.Sprintf("%d..%d", groups[0].base, groups[len(groups)-1].next)
		}
		require.Equal(t, c.want, got, "offset %d, end %d", c.offset, c.end)
	}
}

func TestPartitionsReadWhatTheBudgetPushedOutFromTheirSegments(t *testing.T) {
	budget := NewTails(10 << 10)
	var logs []*Log
	var rigs []*rig
	for range 2 {
		r := newRig(t)
		cfg := r.config("a")
		cfg.Tails = budget
		l, err := Open(t.Context(), cfg)
		require.NoError(t, err)
		rigs, logs = append(rigs, r), append(logs, l)
	}
	for range 30 {
		for i, l := range logs {
			rigs[i].append(l, plain(strings.Repeat("x", 1000)))
		}
	}
	for i, l := range logs {
		require.Len(t, rigs[i].values(l, 0), 30)
		require.NotEmpty(t, offsets(l.tail))
		require.NoError(t, l.Close(t.Context()))
	}
	require.Zero(t, budget.Bytes(), "a log that has ended holds nothing")
}

// A few large groups that left weigh as much as many small ones that stay.
func TestTailsLetGoOfLargeGroupsThatSmallOnesFollow(t *testing.T) {
	const large, stay, size = 100, 10, 200_000
	b := NewTails(large * (size + groupOverhead))
	quiet, busy := newTail(b), newTail(b)
	var payloads []weak.Pointer[byte]
	for i := range talos.Offset(large) {
		payload := make([]byte, size)
		payloads = append(payloads, weak.Make(&payload[0]))
		quiet.add(group{base: i, next: i + 1, payload: payload})
	}
	fill(quiet, large, large+1000, 100)
	fill(busy, 0, large-stay, size)
	runtime.GC()
	held := 0
	for _, p := range payloads {
		if p.Value() != nil {
			held++
		}
	}
	require.LessOrEqual(t, held, stay+stay/droppedShare)
	runtime.KeepAlive(quiet)
}

// What has left the tails is no longer in memory, but for a small part: the budget
// is what they take, not half of it.
func TestTailsLetGoOfWhatTheyDrop(t *testing.T) {
	const size, kept, added = 10_000, 100, 1000
	b := NewTails(kept * (size + groupOverhead))
	one := newTail(b)
	var payloads []weak.Pointer[byte]
	for i := range talos.Offset(added) {
		payload := make([]byte, size)
		payloads = append(payloads, weak.Make(&payload[0]))
		one.add(group{base: i, next: i + 1, payload: payload})
		if i%7 != 0 {
			continue
		}
		runtime.GC()
		held := 0
		for _, p := range payloads {
			if p.Value() != nil {
				held++
			}
		}
		require.LessOrEqual(t, held, kept+kept/droppedShare+1)
	}
	require.Len(t, *one.groups.Load(), kept)
	runtime.KeepAlive(one)
}
