package segment

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a footer or checkpoint says is held against the frames, since readers
// take its word.
func TestScanHoldsTheIndexAgainstTheFrames(t *testing.T) {
	footer := func(change func(f *Footer)) func(o *owner) []byte {
		return func(o *owner) []byte {
			f := Footer{Index: slices.Clone(o.w.index), Summary: o.summary()}
			change(&f)
			return o.raw(frameHeader{frameType: TypeFooter, Meta: o.at()}, appendFooter(nil, f))
		}
	}
	checkpoint := func(x ...IndexEntry) func(o *owner) []byte {
		return func(o *owner) []byte {
			c := Checkpoint{Index: x, Previous: o.w.last.pos}
			return o.raw(frameHeader{frameType: TypeCheckpoint, Meta: o.at()}, appendCheckpoint(nil, c))
		}
	}
	entry := func(f written) IndexEntry { return IndexEntry{Offset: f.Base, Pos: f.pos, Time: f.Time} }
	fresh := newOwner(t, testHeader(wideOpen))
	fresh.data([]string{"before the checkpoint"})
	fresh.checkpoint()
	fresh.data([]string{"a"}, []string{"b"})
	fresh.data([]string{"c"})
	old, a, c := entry(fresh.written[1]), entry(fresh.written[3]), entry(fresh.written[4])
	moved, late, other := a, a, a
	moved.Pos++
	late.Time++
	other.Offset++
	tests := map[string]struct {
		frame func(o *owner) []byte
		says  string
	}{
		"as it should be":       {footer(func(*Footer) {}), ""},
		"denser":                {footer(func(f *Footer) { f.Index = Index{old, a, c} }), ""},
		"checkpoint":            {checkpoint(a, c), ""},
		"sparse checkpoint":     {checkpoint(c), ""},
		"empty checkpoint":      {checkpoint(), ""},
		"inside a frame":        {footer(func(f *Footer) { f.Index = Index{old, moved} }), "the footer's index is wrong: no data frame"},
		"another time":          {footer(func(f *Footer) { f.Index = Index{old, late} }), "no data frame"},
		"inside a frame's data": {checkpoint(other), "the checkpoint's index is wrong: no data frame"},
		"before the checkpoint": {checkpoint(old), "no data frame"},
		"an entry is missing":   {footer(func(f *Footer) { f.Index = Index{a} }), "not that of the checkpoints"},
		"no index":              {footer(func(f *Footer) { f.Index = nil }), "not that of the checkpoints"},
		"frames":                {footer(func(f *Footer) { f.Summary.Frames++ }), "the footer sums up"},
		"bytes":                 {footer(func(f *Footer) { f.Summary.Bytes-- }), "the footer sums up"},
		"first time":            {footer(func(f *Footer) { f.Summary.FirstTime-- }), "the footer sums up"},
		"last time":             {footer(func(f *Footer) { f.Summary.LastTime++ }), "the footer sums up"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := scanBytes(join(fresh.bytes, test.frame(fresh)))
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			requireCorrupt(t, err, fresh.w.Size())
			require.ErrorContains(t, err, test.says)
		})
	}
}

// A footer ends its segment.
func TestScanFindsAFrameBehindTheFooter(t *testing.T) {
	o := sealed(t)
	end := o.w.Size()
	o.data([]string{"behind"})
	requireCorrupt(t, scanBytes(o.bytes), end)
}

// What a newer version wrote is told apart from damage, wherever it lies; nothing
// of it is dropped as a torn tail.
func TestNewerFormat(t *testing.T) {
	unknown := section(mustUnderstand|0x100, "?")
	tests := map[string]struct {
		frame frameHeader
		build func(o *owner) []byte
	}{
		"frame type":         {frameHeader{frameType: 9, flags: mustUnderstandFrame}, func(*owner) []byte { return nil }},
		"version":            {frameHeader{frameType: TypeData, version: 2}, func(*owner) []byte { return nil }},
		"footer's section":   {frameHeader{frameType: TypeFooter}, func(o *owner) []byte { return append(appendFooter(nil, Footer{Summary: o.summary()}), unknown...) }},
		"footer's version":   {frameHeader{frameType: TypeFooter, version: 2}, func(*owner) []byte { return nil }},
		"checkpoint version": {frameHeader{frameType: TypeCheckpoint, version: 2}, func(*owner) []byte { return nil }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := newOwner(t, testHeader(wideOpen))
			o.data([]string{"a", "b", "c"})
			test.frame.Meta = o.at()
			b := join(o.bytes, o.raw(test.frame, test.build(o)))
			requireNewer(t, scanBytes(b), o.w.Size())
			for _, ordered := range []bool{true, false} {
				_, _, err := load(b, LoadOptions{Ordered: ordered})
				requireNewer(t, err, o.w.Size())
			}
		})
	}
}

// An acknowledged checkpoint is what loading depends on.
func TestNewerCheckpointThatIsNamed(t *testing.T) {
	newer := section(mustUnderstand|0x100, "?")
	for _, h := range []frameHeader{{version: 2}, {version: frameVersion}} {
		o := newOwner(t, testHeader(wideOpen))
		at := o.w.Size()
		h.frameType, h.Meta = TypeCheckpoint, o.at()
		o.bytes = append(o.bytes, o.raw(h, append(appendCheckpoint(nil, Checkpoint{}), newer...))...)
		names := frameHeader{frameType: TypeData, checkpoint: at, Meta: o.at()}
		names.Next++
		_, _, err := load(join(o.bytes, o.raw(names, o.batch([]string{"x"}))), LoadOptions{})
		requireNewer(t, err, at)
	}
}

func TestNewerHeader(t *testing.T) {
	payload := appendHead(nil, testHeader(wideOpen), nil)
	at := Meta{Base: testBase, Next: testBase}
	for name, b := range map[string][]byte{
		"version": (&owner{}).raw(frameHeader{frameType: TypeHeader, version: 2, Meta: at}, payload),
		"section": (&owner{}).raw(frameHeader{frameType: TypeHeader, Meta: at}, append(payload, section(mustUnderstand|0x100, "?")...)),
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := ReadHeader(t.Context(), &memory{bytes: b}, testID)
			requireNewer(t, err, 0)
			requireNewer(t, scanBytes(b), 0)
			_, _, err = load(b, LoadOptions{})
			requireNewer(t, err, 0)
		})
	}
}
