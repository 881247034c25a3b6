package segment

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"pgregory.net/rapid"
)

// A segment that ends anywhere is loaded up to the last whole frame: a crash
// may cut it at any byte, on every store.
func TestEveryCut(t *testing.T) {
	for name, o := range map[string]*owner{
		"open": small(t, wideOpen), "sealed": sealed(t), "chunks": smallIn(t, wideOpen, 100), "sealed chunks": sealedIn(t, 128),
	} {
		for _, ordered := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/ordered=%t", name, ordered), func(t *testing.T) {
				for cut := o.written[0].end; cut <= int64(len(o.bytes)); cut++ {
					requirePrefix(t, o, cut, ordered)
				}
			})
		}
	}
}

func TestCutHeaderFrameIsCorruption(t *testing.T) {
	o := small(t, wideOpen)
	for cut := range o.written[0].end {
		for _, ordered := range []bool{true, false} {
			_, _, err := load(o.bytes[:cut], LoadOptions{Ordered: ordered})
			requireCorrupt(t, err, 0)
		}
	}
}

func TestRandomSegments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := random(t)
		o.ack(rapid.IntRange(0, len(o.written)-1).Draw(t, "unacknowledged"))
		if rapid.Bool().Draw(t, "sealed") {
			o.ack(0)
			o.footer()
		}
		cut := rapid.Int64Range(o.written[0].end, int64(len(o.bytes))).Draw(t, "cut")
		for _, ordered := range []bool{true, false} {
			requirePrefix(t, o, cut, ordered)
			requirePrefix(t, o, int64(len(o.bytes)), ordered)
		}
	})
}

// random draws a segment without a footer.
func random(t *rapid.T) *owner {
	o := newOwnerIn(t, testHeader(wideOpen), rapid.Int64Range(0, 600).Draw(t, "chunk"))
	value := rapid.StringN(0, 40, 400)
	frame := rapid.SliceOfN(rapid.SliceOfN(value, 1, 4), 1, 4)
	for _, op := range rapid.SliceOfN(rapid.IntRange(0, 9), 0, 30).Draw(t, "ops") {
		switch {
		case op == 0:
			o.checkpoint()
		case op < 4:
			o.ack(min(op, len(o.written)-1))
		default:
			o.data(frame.Draw(t, "batches")...)
		}
	}
	return o
}

// requirePrefix wants that the first so many bytes are loaded exactly up to the
// last whole frame, and can be read to there.
func requirePrefix(t require.TestingT, o *owner, size int64, ordered bool) {
	b, want := o.bytes[:size], o.upTo(size)
	l, producers, err := load(b, LoadOptions{Ordered: ordered})
	require.NoError(t, err, "cut at %d", size)
	requireLoaded(t, o, want, l, producers)
	require.Equal(t, size-want.end, l.Torn, "cut at %d", size)
	require.False(t, l.Ambiguous)
	require.Equal(t, want.frameType == TypeFooter && l.Torn == 0, l.Sealed)
	got, err := readAll(b, l)
	require.NoError(t, err, "cut at %d", size)
	require.Equal(t, o.batches(want.Next), got)
}

// requireLoaded wants exactly the truth up to a frame.
func requireLoaded(t require.TestingT, o *owner, want written, l Loaded, producers []Producer) {
	require.Equal(t, want.Next, l.Next)
	require.Equal(t, want.Time, l.LastTime)
	require.Equal(t, want.producers, producers)
	end := want.end
	if l.Sealed {
		end = want.pos
	}
	require.Equal(t, end, l.End)
	for _, e := range l.Index {
		f := o.frameOf(e.Pos)
		require.Equal(t, IndexEntry{Offset: f.Base, Pos: f.pos, Time: f.Time}, e)
		require.Equal(t, TypeData, f.frameType)
	}
	require.NoError(t, l.Index.check(l.HeadSize, end, max(l.Next, testBase)))
	if l.Next > testBase {
		require.NotEmpty(t, l.Index)
	}
}

// What is stated from elsewhere to be acknowledged is never dropped.
func TestCutBelowWhatIsKnown(t *testing.T) {
	o := small(t, wideOpen)
	end := o.meta.Next
	for cut := o.written[0].end; cut < int64(len(o.bytes)); cut++ {
		at := o.upTo(cut)
		for _, ordered := range []bool{true, false} {
			for _, known := range []LoadOptions{{Acked: end}, {Until: end}} {
				known.Ordered = ordered
				_, _, err := load(o.bytes[:cut], known)
				requireCorrupt(t, err, at.end)
			}
			for _, known := range []LoadOptions{{Acked: at.Next}, {Until: at.Next}} {
				known.Ordered = ordered
				l, _, err := load(o.bytes[:cut], known)
				require.NoError(t, err)
				require.Equal(t, at.Next, l.Next)
			}
		}
	}
}

// Bytes at or above the next segment's base are noise, whatever they are.
func TestNoiseBehindUntil(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	o.data([]string{"a"})
	o.checkpoint()
	o.ack(0)
	o.data([]string{"b", "c"})
	o.ack(0)
	want := o.written[len(o.written)-1]
	o.data([]string{"never acknowledged"})
	whole := o.bytes
	for _, noise := range [][]byte{whole[want.end:], whole[want.end : want.end+100], make([]byte, 200), nil} {
		for _, ordered := range []bool{true, false} {
			b := join(whole[:want.end], noise)
			l, producers, err := load(b, LoadOptions{Ordered: ordered, Until: want.Next})
			require.NoError(t, err)
			requireLoaded(t, o, want, l, producers)
			require.Zero(t, l.Torn)
		}
	}
}

func TestFooterAboveUntilIsNoise(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	o.data([]string{"a"})
	want := o.written[len(o.written)-1]
	o.data([]string{"b"})
	o.footer()
	l, producers, err := load(o.bytes, LoadOptions{Until: want.Next})
	require.NoError(t, err)
	require.False(t, l.Sealed)
	requireLoaded(t, o, want, l, producers)

	_, _, err = load(o.bytes, LoadOptions{Until: o.meta.Next + 1})
	requireCorrupt(t, err, o.written[len(o.written)-1].pos)
}

// A chain that goes on below what the segment says was acknowledged has lost
// records.
func TestUntilBelowAcknowledged(t *testing.T) {
	o := small(t, wideOpen)
	for _, f := range o.written {
		if f.Next == testBase || f.Next >= o.meta.Acked {
			continue
		}
		_, _, err := load(o.bytes, LoadOptions{Until: f.Next})
		require.ErrorIs(t, err, talos.CorruptSegment)
	}
}

// Both statements of an acknowledgement count alone: a frame's, and that it names
// a checkpoint.
func TestUntilBelowOneStatement(t *testing.T) {
	states := newOwner(t, testHeader(wideOpen))
	states.data([]string{"a"})
	states.ack(0)
	states.data([]string{"b"})
	_, _, err := load(states.bytes, LoadOptions{Until: testBase})
	requireCorrupt(t, err, states.written[2].pos)

	names := newOwner(t, testHeader(wideOpen))
	names.data([]string{"a"})
	names.data([]string{"b"})
	names.checkpoint()
	names.w.Acknowledged(names.w.Size())
	names.data([]string{"c"})
	_, _, err = load(names.bytes, LoadOptions{Until: testBase + 1})
	requireCorrupt(t, err, names.written[3].pos)
}

// The next segment may begin between two batches of a frame, not inside of one.
func TestUntilInsideAFrame(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	o.data([]string{"a", "b"}, []string{"c", "d"})
	l, producers, err := load(o.bytes, LoadOptions{Until: testBase + 2})
	require.NoError(t, err)
	require.Equal(t, testBase+2, l.Next)
	require.Equal(t, int32(1), producers[1].Batches[0].Last)
	require.Len(t, producers[1].Batches, 1)
	got, err := readAll(o.bytes, l)
	require.NoError(t, err)
	require.Equal(t, o.written[1].batches[:len(got)], got)

	for _, inside := range []talos.Offset{1, 3} {
		_, _, err := load(o.bytes, LoadOptions{Until: testBase + inside})
		requireCorrupt(t, err, o.written[1].pos)
	}
}

// A store that states less than the header frame's length is not believed.
func TestSizeInsideTheHeaderFrame(t *testing.T) {
	o := small(t, wideOpen)
	_, err := Load(t.Context(), &memory{bytes: o.bytes}, LoadOptions{ID: testID, Size: o.written[0].end - 1})
	requireCorrupt(t, err, 0)
}
