package segment

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"pgregory.net/rapid"
)

func scanBytes(b []byte) error {
	return Scan(context.Background(), &memory{bytes: b}, int64(len(b)), testID, func(Frame) error { return nil })
}

// Any flipped byte is found, and the message names the damaged frame.
func TestEveryFlippedByteIsFound(t *testing.T) {
	o := sealed(t)
	require.NoError(t, scanBytes(o.bytes))
	good, _, err := load(o.bytes, LoadOptions{})
	require.NoError(t, err)
	want := o.written[len(o.written)-1]
	for i := range o.bytes {
		b := bytes.Clone(o.bytes)
		b[i] ^= 0x40
		f := o.frameOf(int64(i))
		requireCorrupt(t, scanBytes(b), f.pos)
		if f.frameType != TypeFooter {
			_, err := readAll(b, good)
			if f.frameType == TypeHeader && good.Index.Find(testBase) > 0 {
				require.NoError(t, err) // the index leads past it
			} else {
				requireCorrupt(t, err, f.pos)
			}
		}
		// Load reads little of a sealed segment. What it says is right all the same.
		for _, ordered := range []bool{true, false} {
			l, producers, err := load(b, LoadOptions{Ordered: ordered})
			switch {
			case f.frameType == TypeHeader, f.frameType == TypeFooter && ordered:
				requireCorrupt(t, err, f.pos)
			case f.frameType == TypeFooter:
				require.NoError(t, err)
				require.Equal(t, f.end-f.pos, l.Torn)
				// Only a damaged header hides that the frame has its full length.
				require.Equal(t, int64(i) >= f.pos+headerBytes, l.Ambiguous)
				require.Equal(t, want.producers, producers)
				require.Equal(t, want.Next, l.Next)
			default:
				require.NoError(t, err)
				requireLoaded(t, o, want, l, producers)
			}
		}
	}
}

// A flip anywhere in a segment without footer: an ordered store has no torn
// frame of full length, so every damage that is read is corruption.
func TestEveryFlippedByteOfAnOpenSegment(t *testing.T) {
	o := small(t, wideOpen)
	want := o.written[len(o.written)-1]
	named := o.upTo(int64(len(o.bytes)))
	for _, f := range o.written {
		if f.frameType == TypeCheckpoint {
			named = f // the newest one is acknowledged
		}
	}
	for i := range o.bytes {
		b := bytes.Clone(o.bytes)
		b[i] ^= 1
		f := o.frameOf(int64(i))
		l, producers, err := load(b, LoadOptions{Ordered: true})
		if f.frameType == TypeData && f.pos < named.pos {
			require.NoError(t, err) // not read, and what is told is right
			requireLoaded(t, o, want, l, producers)
			continue
		}
		requireCorrupt(t, err, f.pos)

		l, _, err = load(b, LoadOptions{Ordered: false})
		if f.pos <= named.pos {
			requireCorrupt(t, err, f.pos)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, f.Base, l.Next)
		require.Equal(t, int64(len(b))-f.pos, l.Torn)
	}
}

// On a store without order a crash may leave any bytes where appends were in
// flight. Nothing acknowledged is lost, and nothing wrong is taken.
func TestUnorderedCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := random(t)
		o.ack(rapid.IntRange(0, len(o.written)-1).Draw(t, "unacknowledged"))
		acked := o.written[o.acked-1]
		b := bytes.Clone(o.bytes[:rapid.Int64Range(acked.end, int64(len(o.bytes))).Draw(t, "size")])
		for range rapid.IntRange(0, 4).Draw(t, "holes") {
			start := rapid.Int64Range(acked.end, int64(len(b))).Draw(t, "start")
			end := rapid.Int64Range(start, int64(len(b))).Draw(t, "end")
			clear(b[start:end])
		}
		l, producers, err := load(b, LoadOptions{Acked: acked.Next})
		require.NoError(t, err)
		require.GreaterOrEqual(t, l.Next, acked.Next)
		want := o.upTo(l.End)
		requireLoaded(t, o, want, l, producers)
		got, err := readAll(b, l)
		require.NoError(t, err)
		require.Equal(t, o.batches(want.Next), got)
	})
}

// Damage below an offset that a later frame states as acknowledged is
// corruption, also where it looks like a torn tail.
func TestDamageBelowWhatALaterFrameStates(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	o.data([]string{"acknowledged"})
	o.ack(0)
	first := o.written[1]
	o.data([]string{"states it"})
	last := o.written[2]
	for _, damaged := range []func([]byte){
		func(b []byte) { clear(b[first.pos:first.end]) },
		func(b []byte) { b[first.end-1] ^= 1 },
		func(b []byte) { clear(b[first.pos:first.end]); b[last.end-1] ^= 1 }, // its header is enough
		func(b []byte) { clear(b[first.pos:first.end]); clear(b[last.pos+headerBytes : last.end]) },
	} {
		b := bytes.Clone(o.bytes)
		damaged(b)
		_, _, err := load(b, LoadOptions{})
		requireCorrupt(t, err, first.pos)
		require.ErrorContains(t, err, "acknowledged")
	}
}

// A later frame that is whole does not save a torn one that nobody acknowledged.
func TestTornFrameBeforeAWholeOne(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	o.data([]string{"whole"})
	o.data([]string{"torn"})
	o.data([]string{"whole again"})
	torn := o.written[2]
	for damage, ambiguous := range map[int64]bool{torn.pos: false, torn.pos + headerBytes: true} {
		b := bytes.Clone(o.bytes)
		b[damage] ^= 1
		l, producers, err := load(b, LoadOptions{})
		require.NoError(t, err)
		requireLoaded(t, o, o.written[1], l, producers)
		require.Equal(t, int64(len(b))-torn.pos, l.Torn)
		require.Equal(t, ambiguous, l.Ambiguous)

		_, _, err = load(b, LoadOptions{Ordered: true})
		requireCorrupt(t, err, torn.pos)
	}
}

// More than what can have been in flight is no torn tail.
func TestDamageBeforeTheWindow(t *testing.T) {
	o := newOwner(t, testHeader(400))
	for range 20 {
		o.data([]string{"0123456789"}) // no frame states an acknowledgement
	}
	for _, f := range o.written[1:] {
		b := bytes.Clone(o.bytes)
		b[f.pos+headerBytes] ^= 1
		l, _, err := load(b, LoadOptions{})
		if int64(len(b))-f.pos > 400 {
			requireCorrupt(t, err, f.pos)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, f.Base, l.Next)
	}
	// As much as the window is a torn tail, one byte more is not; where only the
	// last frame can be torn, the window does not matter.
	for size, torn := range map[int]bool{400: true, 401: false} {
		b := append(bytes.Clone(o.bytes), make([]byte, size)...)
		l, _, err := load(b, LoadOptions{})
		if torn {
			require.NoError(t, err)
			require.Equal(t, int64(size), l.Torn)
		} else {
			requireCorrupt(t, err, int64(len(o.bytes)))
		}
	}
	end := o.w.Size()
	o.data([]string{string(make([]byte, 1000))})
	l, _, err := load(o.bytes[:end+900], LoadOptions{Ordered: true})
	require.NoError(t, err)
	require.Equal(t, int64(900), l.Torn)
	o.bytes = o.bytes[:end]
	// Zeros for longer than the window and one frame: no header is found at all.
	b := append(bytes.Clone(o.bytes), make([]byte, MaxFrameBytes+1000)...)
	_, _, err = load(b, LoadOptions{})
	requireCorrupt(t, err, int64(len(o.bytes)))
}

// The end of a torn tail may look like a trailer. It counts only if it is that of
// the frame to which it leads.
func TestTrailerOfAnotherFrame(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	o.data([]string{"acknowledged"})
	o.ack(0)
	o.data([]string{"states it"})
	first := o.written[1]
	b := bytes.Clone(o.bytes)
	b[first.pos+headerBytes] ^= 1
	b = binary.BigEndian.AppendUint32(b, uint32(o.w.Size()+trailerBytes-first.pos))
	b = append(b, "torn"...)
	_, _, err := load(b, LoadOptions{})
	requireCorrupt(t, err, first.pos)
}

// The search for the last frame reads pieces; a header may lie across two.
func TestLastFrameAcrossPieces(t *testing.T) {
	o := small(t, wideOpen)
	last := o.written[len(o.written)-1]
	opened := Opened{Header: testHeader(wideOpen), Salt: testSalt, HeadSize: o.written[0].end}
	for from := int64(searchBytes); from < searchBytes+headerBytes+2; from++ {
		b := append(bytes.Clone(o.bytes), make([]byte, last.pos+from-o.w.Size())...)
		h, ok, err := lastFrame(t.Context(), &memory{bytes: b}, opened, int64(len(b)))
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, last.pos, h.pos)
	}
}

// Records may hold what looks like frames of this very segment: a search never
// takes them for its own, since each frame states its position.
func TestFramesInsideRecords(t *testing.T) {
	o := small(t, wideOpen)
	o.ack(0)
	copied := string(o.bytes)
	forged := frameHeader{
		frameType: TypeData, version: 1, salt: testSalt, pos: 77,
		Meta: Meta{Base: testBase, Next: testBase + 1, Acked: 1 << 40}, checkpoint: 1 << 40,
	}
	copied += string(forged.complete(make([]byte, headerBytes)))
	for range 3 {
		o.data([]string{copied, copied})
	}
	inner := o.written[len(o.written)-2]
	for cut := inner.pos; cut < int64(len(o.bytes)); cut += 37 {
		requirePrefix(t, o, cut, true)
		requirePrefix(t, o, cut, false)
	}
	// The segment ends exactly where a frame inside of a record ends.
	at := inner.pos + int64(bytes.Index(o.bytes[inner.pos:], []byte(copied))+len(copied))
	requirePrefix(t, o, at, true)
	requirePrefix(t, o, at, false)
	// The torn frame's own header is gone as well.
	b := bytes.Clone(o.bytes)
	clear(b[inner.pos : inner.pos+headerBytes])
	l, producers, err := load(b, LoadOptions{})
	require.NoError(t, err)
	requireLoaded(t, o, o.upTo(inner.pos), l, producers)
}

// Frames that are whole but can't be right are corruption on every store.
func TestContradictions(t *testing.T) {
	tests := map[string]struct {
		build func(o *owner) []byte
		says  string
	}{
		"gap": {func(o *owner) []byte {
			o.meta.Next += 5
			b := o.batch([]string{"x"})
			return o.raw(frameHeader{frameType: TypeData, Meta: Meta{Base: o.meta.Next, Next: o.meta.Next + 1}}, b)
		}, "begins at offset 1008, the one before ends at 1003"},
		"batches do not tile": {func(o *owner) []byte {
			return o.raw(frameHeader{frameType: TypeData, Meta: Meta{Base: o.meta.Next, Next: o.meta.Next + 2}}, o.batch([]string{"x"}))
		}, "go from offset 1003 to 1004, not to 1005"},
		"batch of another offset": {func(o *owner) []byte {
			h := frameHeader{frameType: TypeData, Meta: Meta{Base: o.meta.Next, Next: o.meta.Next + 1}}
			o.meta.Next++
			return o.raw(h, o.batch([]string{"x"}))
		}, "offset 1003 should come next"},
		"no batch": {func(o *owner) []byte {
			return o.raw(frameHeader{frameType: TypeData, Meta: Meta{Base: o.meta.Next, Next: o.meta.Next}}, nil)
		}, "go from offset 1003 to 1003"},
		"batch without offsets": {func(o *owner) []byte {
			b := o.batch([]string{"x"})
			empty := bytes.Clone(b)
			binary.BigEndian.PutUint32(empty[23:], 0xffffffff) // its last offset delta
			h := frameHeader{frameType: TypeData, Meta: Meta{Base: o.meta.Next, Next: o.meta.Next + 1}}
			return o.raw(h, append(empty, b...))
		}, "a batch from offset 1003 to 1003"},
		"half a batch": {func(o *owner) []byte {
			b := o.batch([]string{"x"})
			return o.raw(frameHeader{frameType: TypeData, Meta: Meta{Base: o.meta.Next, Next: o.meta.Next + 1}}, b[:len(b)-1])
		}, "can't be read"},
		"offsets without records": {func(o *owner) []byte {
			return o.raw(frameHeader{frameType: TypeCheckpoint, Meta: Meta{Base: o.meta.Next, Next: o.meta.Next + 1}}, nil)
		}, "can't hold the offsets"},
		"second header": {func(o *owner) []byte {
			return o.raw(frameHeader{frameType: TypeHeader, Meta: Meta{Base: o.meta.Next, Next: o.meta.Next}}, nil)
		}, "can't be here"},
		"negative offset": {func(o *owner) []byte {
			return o.raw(frameHeader{frameType: TypeData, Meta: Meta{Base: -1, Next: o.meta.Next}}, nil)
		}, "from offset -1"},
		"footer of another end": {func(o *owner) []byte {
			return o.raw(frameHeader{frameType: TypeFooter, Meta: o.at()}, appendFooter(nil, Footer{Summary: Summary{Next: 1}}))
		}, "its summary ends at offset 1, the frame at 1003"},
		"footer with a bad index": {func(o *owner) []byte {
			f := Footer{Index: Index{{Offset: testBase, Pos: 1 << 30}}, Summary: Summary{Next: o.meta.Next}}
			return o.raw(frameHeader{frameType: TypeFooter, Meta: o.at()}, appendFooter(nil, f))
		}, "is out of range"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := newOwner(t, testHeader(wideOpen))
			o.data([]string{"a", "b", "c"})
			b := append(bytes.Clone(o.bytes), test.build(o)...)
			for _, ordered := range []bool{true, false} {
				_, _, err := load(b, LoadOptions{Ordered: ordered})
				requireCorrupt(t, err, int64(len(o.bytes)))
				require.ErrorContains(t, err, test.says)
			}
			requireCorrupt(t, scanBytes(b), int64(len(o.bytes)))
		})
	}
}

// A checkpoint that a frame names, but that is not there or not intact, was
// acknowledged: nothing may be guessed instead of it.
func TestNamedCheckpointIsBad(t *testing.T) {
	build := func(names func(o *owner) int64) ([]byte, *owner) {
		o := newOwner(t, testHeader(wideOpen))
		o.data([]string{"a"})
		o.checkpoint()
		h := frameHeader{frameType: TypeData, checkpoint: names(o), Meta: Meta{Base: o.meta.Next, Next: o.meta.Next + 1}}
		return append(bytes.Clone(o.bytes), o.raw(h, o.batch([]string{"x"}))...), o
	}
	tests := map[string]struct {
		names func(o *owner) int64
		pos   func(o *owner) int64
	}{
		"a data frame":     {func(o *owner) int64 { return o.written[1].pos }, func(o *owner) int64 { return o.written[1].pos }},
		"inside a frame":   {func(o *owner) int64 { return o.written[1].pos + 1 }, func(o *owner) int64 { return o.written[1].pos + 1 }},
		"the header frame": {func(*owner) int64 { return 5 }, func(o *owner) int64 { return o.w.Size() }},
		"itself":           {func(o *owner) int64 { return o.w.Size() }, func(o *owner) int64 { return o.w.Size() }},
		"behind itself":    {func(*owner) int64 { return 1 << 40 }, func(o *owner) int64 { return o.w.Size() }},
		"negative":         {func(*owner) int64 { return -1 }, func(o *owner) int64 { return o.w.Size() }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, o := build(test.names)
			for _, ordered := range []bool{true, false} {
				_, _, err := load(b, LoadOptions{Ordered: ordered})
				requireCorrupt(t, err, test.pos(o))
				require.ErrorContains(t, err, "checkpoint")
			}
			requireCorrupt(t, scanBytes(b), o.w.Size())
		})
	}
}

// raw completes a frame behind what was written, whatever it says.
func (o *owner) raw(h frameHeader, payload []byte) []byte {
	h.salt, h.pos, h.payload = testSalt, int64(len(o.bytes)), uint32(len(payload))
	if h.version == 0 {
		h.version = frameVersion
	}
	return h.complete(append(make([]byte, headerBytes), payload...))
}

// What the header frame says must agree with itself.
func TestHeaderFrameContradicts(t *testing.T) {
	head := func(h frameHeader, name talos.SegmentName) []byte {
		identity := testHeader(wideOpen)
		identity.Name = name
		return (&owner{}).raw(h, appendHead(nil, identity, nil))
	}
	good := testHeader(wideOpen).Name
	at := Meta{Base: testBase, Next: testBase}
	b := head(frameHeader{frameType: TypeHeader, Meta: at}, good)
	_, _, err := ReadHeader(t.Context(), &memory{bytes: b}, testID)
	require.NoError(t, err)

	whole := sealed(t)
	bad := map[string][]byte{
		"is named":                 head(frameHeader{frameType: TypeHeader, Meta: at}, talos.SegmentName{Number: 1, Epoch: 1}),
		"from offset 1000 to 1001": head(frameHeader{frameType: TypeHeader, Meta: Meta{Base: testBase, Next: testBase + 1}}, good),
		"segment name":             head(frameHeader{frameType: TypeHeader, Meta: at}, talos.SegmentName{}),
		"can't be here":            head(frameHeader{frameType: TypeData, Meta: at}, good),
		"no intact header frame":   whole.bytes[whole.written[1].pos:],
	}
	for says, b := range bad {
		_, _, err := ReadHeader(t.Context(), &memory{bytes: b}, testID)
		requireCorrupt(t, err, 0)
		require.ErrorContains(t, err, says)
	}
}

// Scan follows the checkpoints' chain.
func TestCheckpointNamesAnotherPrevious(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	o.data([]string{"a"})
	o.checkpoint()
	b := join(o.bytes, o.raw(frameHeader{frameType: TypeCheckpoint, Meta: o.at()}, appendCheckpoint(nil, Checkpoint{Previous: 0})))
	requireCorrupt(t, scanBytes(b), o.w.Size())
}

func TestUnknownFrameIsSkipped(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	o.data([]string{"before"})
	skipped := o.raw(frameHeader{frameType: 200, version: 44, flags: 0xfffe, Meta: Meta{Base: o.meta.Next, Next: o.meta.Next}}, []byte("?"))
	o.bytes = append(o.bytes, skipped...)
	o.w.size += int64(len(skipped))
	o.data([]string{"behind"})
	l, _, err := load(o.bytes, LoadOptions{Ordered: true})
	require.NoError(t, err)
	require.Equal(t, o.meta.Next, l.Next)
	got, err := readAll(o.bytes, l)
	require.NoError(t, err)
	require.Equal(t, o.batches(l.Next), got)
	require.NoError(t, scanBytes(o.bytes))
}

func TestSourceErrors(t *testing.T) {
	o := sealed(t)
	l, _, err := load(o.bytes, LoadOptions{})
	require.NoError(t, err)
	calls := map[string]func(Source) error{
		"ReadHeader": func(s Source) error { _, _, err := ReadHeader(t.Context(), s, testID); return err },
		"Load": func(s Source) error {
			_, err := Load(t.Context(), s, LoadOptions{ID: testID, Size: int64(len(o.bytes))})
			return err
		},
		"Scan": func(s Source) error {
			return Scan(t.Context(), s, 1, testID, func(Frame) error { return nil })
		},
		"ReadBatches": func(s Source) error {
			_, err := ReadBatches(t.Context(), s, Query{ID: testID, Salt: l.Salt, From: testBase, Limit: l.Next, End: l.End})
			return err
		},
		"OffsetForTime": func(s Source) error {
			_, _, _, err := OffsetForTime(t.Context(), s, Query{ID: testID, Salt: l.Salt, Limit: l.Next, End: l.End}, 0)
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			broken := errors.New("broken disk")
			err := call(&memory{err: broken})
			require.ErrorIs(t, err, broken)
			require.ErrorIs(t, err, talos.StoreUnavailable)
			require.ErrorContains(t, err, testID)
			require.Equal(t, talos.Canceled, talos.KindOf(call(&memory{err: context.Canceled})))
		})
	}
}

func TestSegmentShorterThanStated(t *testing.T) {
	o := sealed(t)
	b := o.bytes[:len(o.bytes)-10]
	err := Scan(t.Context(), &memory{bytes: b}, int64(len(o.bytes)), testID, func(Frame) error { return nil })
	require.ErrorIs(t, err, talos.CorruptSegment)
	require.ErrorContains(t, err, "the segment ends at byte")
}

// An error of the caller's own function comes back as it is.
func TestCallersErrors(t *testing.T) {
	o := sealed(t)
	mine := errors.New("mine")
	err := Scan(t.Context(), &memory{bytes: o.bytes}, int64(len(o.bytes)), testID, func(Frame) error { return mine })
	require.Equal(t, mine, err)

	o = small(t, wideOpen)
	_, err = Load(t.Context(), &memory{bytes: o.bytes}, LoadOptions{
		Size: o.w.Size(), Apply: func(batch.Batch, int64) error { return mine },
	})
	require.Equal(t, mine, err)
}
