package segment

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"pgregory.net/rapid"
)

// Any query against the plain list of batches.
func TestReadBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := random(t)
		var all []batch.Batch
		limits := []talos.Offset{testBase}
		for b, err := range batch.All(o.batches(o.meta.Next)) {
			require.NoError(t, err)
			all = append(all, b)
			limits = append(limits, b.Next())
		}
		q := Query{
			ID: testID, Salt: o.w.Salt(), End: o.w.Size(),
			From:     talos.Offset(rapid.Int64Range(int64(testBase), int64(o.meta.Next)).Draw(t, "from")),
			Limit:    rapid.SampledFrom(limits).Draw(t, "limit"),
			MaxBytes: rapid.IntRange(0, 2000).Draw(t, "max bytes"),
		}
		q.Pos = o.w.Index().Find(q.From)
		var want []byte
		for _, b := range all {
			if b.Next() > q.From && b.Next() <= q.Limit && q.From < q.Limit {
				if len(want) > 0 && len(want)+len(b.Bytes) > q.MaxBytes {
					break
				}
				want = append(want, b.Bytes...)
			}
		}
		got, err := ReadBatches(t.Context(), &memory{bytes: o.bytes}, q)
		require.NoError(t, err)
		require.Equal(t, want, got)

		views := viewing{&memory{bytes: o.bytes}, rapid.Int64Range(1, 3000).Draw(t, "part")}
		kept := bytes.Clone(o.bytes)
		got, err = ReadBatches(t.Context(), views, q)
		require.NoError(t, err)
		require.Equal(t, want, got, "of a source that has parts in memory")
		for i := range got {
			got[i]++
		}
		require.True(t, bytes.Equal(kept, o.bytes), "what is read is the caller's own")
	})
}

// viewing is a source that has the segment in memory, in parts of the same size.
type viewing struct {
	*memory
	part int64
}

func (v viewing) View(_ context.Context, off, n int64) ([]byte, error) {
	if off/v.part != (off+n-1)/v.part || off+n > int64(len(v.bytes)) {
		return nil, nil
	}
	to := min((off/v.part+1)*v.part, int64(len(v.bytes)))
	return v.bytes[off:to:to], nil
}

func TestOffsetForTime(t *testing.T) {
	o := small(t, wideOpen)
	q := Query{ID: testID, Salt: o.w.Salt(), From: testBase, Limit: o.meta.Next, End: o.w.Size()}
	for ms := int64(testTime - 1); ms <= o.meta.Time+1; ms++ {
		q.Pos = o.w.Index().FindTime(ms)
		offset, at, ok, err := OffsetForTime(t.Context(), &memory{bytes: o.bytes}, q, ms)
		require.NoError(t, err)
		require.Equal(t, ms <= o.meta.Time, ok)
		for _, f := range o.written {
			if ok && f.frameType == TypeData && f.Time >= ms {
				require.Equal(t, f.Base, offset)
				require.Equal(t, f.Time, at)
				break
			}
		}
	}
	// Not below the log start, and not at or above what is committed.
	q.Pos, q.From = 0, testBase+2
	offset, _, ok, err := OffsetForTime(t.Context(), &memory{bytes: o.bytes}, q, 0)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, testBase+2, offset)
	q.Limit = testBase + 3
	_, _, ok, err = OffsetForTime(t.Context(), &memory{bytes: o.bytes}, q, testTime+11)
	require.NoError(t, err)
	require.False(t, ok)
}

// Times may repeat; the first frame of a time counts.
func TestFindTimeWithEqualTimes(t *testing.T) {
	x := Index{{Offset: 1, Pos: 100, Time: 5}, {Offset: 2, Pos: 200, Time: 7}, {Offset: 3, Pos: 300, Time: 7}, {Offset: 4, Pos: 400, Time: 9}}
	for ms, want := range map[int64]int64{4: 0, 5: 0, 6: 100, 7: 100, 8: 300, 9: 300, 10: 400} {
		require.Equal(t, want, x.FindTime(ms), "time %d", ms)
	}
	for offset, want := range map[talos.Offset]int64{0: 0, 1: 100, 3: 300, 9: 400} {
		require.Equal(t, want, x.Find(offset), "offset %d", offset)
	}
}

func TestIndexCheck(t *testing.T) {
	tests := map[string]struct {
		index Index
		says  string
	}{
		"empty":            {nil, ""},
		"good":             {Index{{Offset: 0, Pos: 10}, {Offset: 9, Pos: 19}}, ""},
		"times go back":    {Index{{Offset: 0, Pos: 10, Time: 5}, {Offset: 9, Pos: 19}}, ""},
		"in the header":    {Index{{Offset: 0, Pos: 9}}, "entry 0 (offset 0 at byte 9) is out of range"},
		"behind the end":   {Index{{Offset: 0, Pos: 20}}, "out of range"},
		"negative":         {Index{{Offset: -1, Pos: 10}}, "out of range"},
		"above the offset": {Index{{Offset: 0, Pos: 10}, {Offset: 10, Pos: 11}}, "entry 1 (offset 10 at byte 11) is out of range"},
		"same position":    {Index{{Offset: 0, Pos: 10}, {Offset: 1, Pos: 10}}, "does not follow"},
		"same offset":      {Index{{Offset: 1, Pos: 10}, {Offset: 1, Pos: 11}}, "does not follow"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.index.check(10, 20, 10)
			if test.says == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.says)
			}
		})
	}
}

// Asking for what the segment does not have is never answered with less.
func TestReadBatchesRefuses(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	o.data([]string{"a", "b"})
	o.data([]string{"c"})
	end := o.w.Size()
	good := Query{ID: testID, Salt: testSalt, From: testBase, Limit: testBase + 3, End: end, MaxBytes: 1 << 20}
	tests := map[string]struct {
		change func(q *Query)
		pos    int64
	}{
		"beyond the end":    {func(q *Query) { q.From, q.Limit = testBase+3, testBase+4 }, end},
		"below the base":    {func(q *Query) { q.From = testBase - 1 }, o.written[1].pos},
		"position too late": {func(q *Query) { q.Pos = o.written[2].pos }, o.written[2].pos},
		"position off":      {func(q *Query) { q.Pos = o.written[2].pos + 1 }, o.written[2].pos + 1},
		"end inside":        {func(q *Query) { q.From, q.End = testBase+2, end-1 }, o.written[2].pos},
		"other salt":        {func(q *Query) { q.Salt++ }, 0},
		"limit in a batch":  {func(q *Query) { q.Limit = testBase + 1 }, o.written[1].pos},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			q := good
			_, err := ReadBatches(t.Context(), &memory{bytes: o.bytes}, q)
			require.NoError(t, err)
			test.change(&q)
			got, err := ReadBatches(t.Context(), &memory{bytes: o.bytes}, q)
			requireCorrupt(t, err, test.pos)
			require.Nil(t, got)
		})
	}
}

// What lies before damage can be read, up to the last batch before it, and however
// much is asked for. Who asks behind that is refused.
func TestReadBatchesBeforeDamage(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	o.data([]string{"a"})
	o.data([]string{"b"})
	o.data([]string{"c"})
	end, damaged := o.w.Size(), o.written[3].pos
	good := Query{ID: testID, Salt: testSalt, From: testBase, Limit: testBase + 3, End: end}
	tests := map[string]struct {
		flip   int64
		change func(q *Query)
		next   talos.Offset
		pos    int64
	}{
		"bad header":       {damaged, func(*Query) {}, testBase + 2, damaged},
		"bad frame":        {damaged + headerBytes, func(*Query) {}, testBase + 2, damaged},
		"cut header":       {0, func(q *Query) { q.End = damaged + 1 }, testBase + 2, damaged},
		"cut frame":        {0, func(q *Query) { q.End-- }, testBase + 2, damaged},
		"missing frame":    {0, func(q *Query) { q.End = damaged }, testBase + 2, damaged},
		"limit beyond end": {0, func(q *Query) { q.Limit++ }, testBase + 3, end},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(o.bytes)
			if test.flip > 0 {
				b[test.flip] ^= 1
			}
			// Of each source with answers of one batch, and of all.
			for i, src := range []Source{
				&memory{bytes: b}, &memory{bytes: b}, viewing{&memory{bytes: b}, 1 << 20}, viewing{&memory{bytes: b}, 100},
			} {
				q := good
				test.change(&q)
				q.MaxBytes = i % 2 << 20
				var got []byte
				for q.From < test.next {
					part, err := ReadBatches(t.Context(), src, q)
					require.NoError(t, err)
					require.NotEmpty(t, part)
					for one, err := range batch.All(part) {
						require.NoError(t, err)
						q.From = one.Next()
					}
					got = append(got, part...)
				}
				require.Equal(t, o.batches(test.next), got)
				got, err := ReadBatches(t.Context(), src, q)
				requireCorrupt(t, err, test.pos)
				require.Nil(t, got)
			}
		})
	}
}

// large is a segment of 24 MiB whose newest checkpoints are acknowledged.
func large(t *testing.T) *owner {
	o := newOwner(t, testHeader(1<<20))
	value := strings.Repeat("x", 100_000)
	for o.w.Size() < 24<<20 {
		o.data([]string{value})
		o.ack(0)
		if o.w.CheckpointDue(0) {
			o.checkpoint()
		}
	}
	return o
}

// A takeover reads the window and one checkpoint interval at most, and a sealed
// segment's footer only, not the segment.
func TestLoadReadsLittle(t *testing.T) {
	o := large(t)
	want := o.written[len(o.written)-1]
	for _, torn := range [][]byte{nil, []byte("torn"), make([]byte, 100_000), make([]byte, 1<<20)} {
		src := &memory{bytes: append(bytes.Clone(o.bytes), torn...)}
		l, err := Load(t.Context(), src, LoadOptions{ID: testID, Size: int64(len(src.bytes))})
		require.NoError(t, err)
		require.Equal(t, want.Next, l.Next)
		require.Equal(t, o.w.Index(), l.Index)
		require.Equal(t, int64(len(torn)), l.Torn)
		require.Less(t, src.read, CheckpointBytes+4<<20)
	}
	o.footer()
	src := &memory{bytes: o.bytes}
	l, err := Load(t.Context(), src, LoadOptions{ID: testID, Size: o.w.Size()})
	require.NoError(t, err)
	require.True(t, l.Sealed)
	require.Equal(t, o.w.Index(), l.Index)
	require.Less(t, src.read, 256<<10)
}

// Of each checkpoint before the newest one its own bytes are read, hardly more: on S3
// what lies behind it would be a request for each frame.
func TestLoadReadsOfACheckpointItself(t *testing.T) {
	const checkpoints = 40
	o := newOwner(t, testHeader(wideOpen))
	for range checkpoints {
		for range 16 {
			o.data([]string{strings.Repeat("x", 8<<10)})
		}
		o.checkpoint()
		o.ack(0)
	}
	o.data([]string{"the tail"})
	src := &memory{bytes: o.bytes}
	l, err := Load(t.Context(), src, LoadOptions{ID: testID, Size: o.w.Size()})
	require.NoError(t, err)
	require.Equal(t, o.w.Index(), l.Index)
	require.Less(t, src.read, (checkpoints+4)*aloneBytes)
}

// Reading one batch anywhere in a large segment reads about an index interval.
func TestReadBatchesReadsLittle(t *testing.T) {
	o := large(t)
	for from := testBase; from < o.meta.Next; from += 37 {
		src := &memory{bytes: o.bytes}
		got, err := ReadBatches(t.Context(), src, Query{
			ID: testID, Salt: testSalt, From: from, Limit: o.meta.Next, Pos: o.w.Index().Find(from), End: o.w.Size(),
		})
		require.NoError(t, err)
		h, err := batch.Parse(got)
		require.NoError(t, err)
		require.Equal(t, from, h.Base)
		require.Less(t, src.read, 512<<10)
	}
}

func BenchmarkData(b *testing.B) {
	o := newOwner(b, testHeader(wideOpen))
	payload := o.batch([]string{strings.Repeat("x", 1<<20)})
	b.SetBytes(int64(len(payload)))
	buf := append(o.w.Buffer(len(payload)), payload...)
	for b.Loop() {
		o.w.Data(buf, Meta{Base: o.w.next, Next: o.w.next + 1})
	}
}

func BenchmarkReadBatches(b *testing.B) {
	o := newOwner(b, testHeader(wideOpen))
	value := strings.Repeat("x", 10_000)
	for range 1000 {
		o.data([]string{value})
	}
	src := &memory{bytes: o.bytes}
	q := Query{ID: testID, Salt: testSalt, From: testBase, Limit: o.meta.Next, End: o.w.Size(), MaxBytes: 1 << 20}
	b.SetBytes(1 << 20)
	for b.Loop() {
		if _, err := ReadBatches(b.Context(), src, q); err != nil {
			b.Fatal(err)
		}
	}
}
