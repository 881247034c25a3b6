package segment

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func section(sectionType uint16, content string) []byte {
	return appendSection(nil, sectionType, func(b []byte) []byte { return append(b, content...) })
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func TestSections(t *testing.T) {
	a, b := section(sectionIndex, "index"), section(sectionProducers, "")
	tests := map[string]struct {
		bytes []byte
		says  string
	}{
		"in order":          {join(a, b), ""},
		"in another order":  {join(b, a), ""},
		"unknown, optional": {join(a, section(0x7fff, "from the future"), b), ""},
		"unknown, needed":   {join(a, section(0xffff, "from the future"), b), "written by a newer version"},
		"missing":           {a, "section 0x8002 is missing"},
		"nothing":           {nil, "is missing"},
		"twice":             {join(a, b, a), "0x0003 is there twice"},
		"empty and twice":   {join(a, b, b), "0x8002 is there twice"},
		"cut in the header": {join(a, b[:5]), "5 bytes are too few"},
		"cut":               {a[:len(a)-1], "declares 5 bytes, there are 4"},
		"declares 4 GiB":    {join(b, []byte{0, 3, 0xff, 0xff, 0xff, 0xff}), "declares 4294967295 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found, err := parseSections(test.bytes, sectionIndex, sectionProducers)
			if test.says != "" {
				require.ErrorContains(t, err, test.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, map[uint16][]byte{sectionIndex: []byte("index"), sectionProducers: {}}, found)
		})
	}
}

// A content that is one byte short or long is refused, each at every length.
func TestContentsAreStrict(t *testing.T) {
	h := testHeader(wideOpen)
	contents := map[string]struct {
		good  []byte
		parse func([]byte) error
	}{
		"identity":  {appendIdentity(nil, h), func(b []byte) error { _, err := parseIdentity(b); return err }},
		"producers": {appendProducers(nil, earlier()), func(b []byte) error { _, err := parseProducers(b); return err }},
		"index": {appendIndex(nil, Index{{Offset: 1}}), func(b []byte) error {
			_, err := parseIndex(b)
			return err
		}},
	}
	for name, c := range contents {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, c.parse(c.good))
			require.Error(t, c.parse(append(c.good[:len(c.good):len(c.good)], 1)))
			for n := 1; n < len(c.good); n++ {
				require.Error(t, c.parse(c.good[:n]), "%d bytes", n)
			}
		})
	}
}

// The sections of a frame that has them all, plus unknown ones.
func TestUnknownSectionsInFrames(t *testing.T) {
	for unknown, readable := range map[uint16]bool{0x0100: true, 0x8100: false} {
		for _, frameType := range []uint8{TypeCheckpoint, TypeFooter} {
			o := newOwner(t, testHeader(wideOpen))
			o.data([]string{"a"})
			payload := appendCheckpoint(nil, Checkpoint{Producers: o.producers})
			if frameType == TypeFooter {
				payload = appendFooter(nil, Footer{Producers: o.producers, Summary: o.summary()})
			}
			payload = append(payload, section(unknown, "?")...)
			frame := o.raw(frameHeader{frameType: frameType, Meta: o.at()}, payload)
			b := join(o.bytes, frame)
			if readable {
				require.NoError(t, scanBytes(b))
				continue
			}
			requireNewer(t, scanBytes(b), int64(len(o.bytes)))
		}
	}
}

// Lengths that somebody declares cost nothing before the bytes are there.
func TestHostileLengths(t *testing.T) {
	head := func(payload uint32) []byte {
		h := frameHeader{frameType: TypeHeader, version: frameVersion, payload: payload, salt: testSalt}
		return h.complete(make([]byte, headerBytes))[:headerBytes]
	}
	o := newOwner(t, testHeader(wideOpen))
	frame := frameHeader{
		frameType: TypeData, version: frameVersion, payload: MaxFrameBytes - FrameOverhead, salt: testSalt,
		pos: o.w.Size(), Meta: Meta{Base: testBase, Next: testBase + 1},
	}
	tests := map[string]struct {
		bytes []byte
		says  string
	}{
		"largest header frame": {head(MaxFrameBytes - FrameOverhead), "72 are there"},
		"header frame above":   {head(MaxFrameBytes), "the limit is 8388608"},
		"header frame of 4GiB": {head(1<<32 - 1), "the limit is 8388608"},
		"largest data frame":   {join(o.bytes, frame.complete(make([]byte, headerBytes))), "80 are there"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := scanBytes(test.bytes)
			runtime.ReadMemStats(&after)
			require.ErrorContains(t, err, test.says)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
		})
	}
	t.Run("data frame above", func(t *testing.T) {
		frame.payload++
		b := join(o.bytes, frame.complete(make([]byte, headerBytes)))
		for _, ordered := range []bool{true, false} {
			_, _, err := load(b, LoadOptions{Ordered: ordered})
			requireCorrupt(t, err, o.w.Size())
			require.ErrorContains(t, err, "the limit is 8388608")
		}
	})
}
