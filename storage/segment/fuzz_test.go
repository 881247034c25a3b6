package segment

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
)

// Arbitrary bytes are never a panic, and what is loaded of them can be read.
func FuzzSegment(f *testing.F) {
	whole := sealed(f).bytes
	f.Add(whole, true)
	f.Add(whole[:len(whole)-7], false)
	f.Add(small(f, 500).bytes, false)
	f.Add([]byte("TLS1"), true)
	f.Fuzz(func(t *testing.T, b []byte, ordered bool) {
		l, _, err := load(b, LoadOptions{Ordered: ordered})
		if err != nil {
			require.Contains(t, []talos.Kind{talos.CorruptSegment, talos.NewerFormat}, talos.KindOf(err))
			require.Error(t, scanBytes(b))
			return
		}
		require.LessOrEqual(t, l.End+l.Torn, int64(len(b)))
		if scanBytes(b) == nil {
			_, err := readAll(b, l)
			require.NoError(t, err)
		}
	})
}

// A frame with right checksums may still say anything.
func FuzzFrame(f *testing.F) {
	o := newOwner(f, testHeader(wideOpen))
	b := o.batch([]string{"a", "b"})
	f.Add(TypeData, uint8(1), uint16(1), int64(0), int64(testBase), int64(testBase+2), b)
	f.Add(TypeCheckpoint, uint8(1), uint16(0), int64(0), int64(testBase), int64(testBase),
		appendCheckpoint(nil, Checkpoint{Producers: earlier(), Index: Index{{Offset: 1, Pos: 2, Time: 3}}, Previous: 4}))
	f.Add(TypeFooter, uint8(1), uint16(0), int64(0), int64(testBase), int64(testBase),
		appendFooter(nil, Footer{Producers: earlier(), Summary: Summary{Next: testBase}}))
	f.Add(uint8(77), uint8(3), uint16(0), o.w.Size(), int64(testBase), int64(testBase), []byte("unknown"))
	f.Fuzz(func(t *testing.T, frameType, version uint8, flags uint16, checkpoint, base, next int64, payload []byte) {
		h := frameHeader{
			frameType: frameType, version: version, flags: flags, payload: uint32(len(payload)), salt: testSalt,
			pos: o.w.Size(), Meta: Meta{Base: talos.Offset(base), Next: talos.Offset(next)}, checkpoint: checkpoint,
		}
		b := join(o.bytes, h.complete(append(make([]byte, headerBytes), payload...)))
		scanned := scanBytes(b)
		l, _, err := load(b, LoadOptions{})
		if err != nil || scanned != nil {
			return
		}
		require.Zero(t, l.Torn)
		_, err = readAll(b, l)
		require.NoError(t, err)
	})
}

// What a decoder takes is exactly what the encoder makes of it.
func FuzzHeader(f *testing.F) {
	f.Add(appendHead(nil, testHeader(wideOpen), earlier()))
	f.Add(appendHead(nil, testHeader(1), nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, producers, err := parseHead(b)
		if err != nil {
			return
		}
		h2, producers2, err := parseHead(appendHead(nil, h, producers))
		require.NoError(t, err)
		require.Equal(t, h, h2)
		require.Equal(t, producers, producers2)
	})
}

func FuzzCheckpoint(f *testing.F) {
	f.Add(appendCheckpoint(nil, Checkpoint{Producers: earlier(), Index: Index{{Offset: 1, Pos: 2, Time: 3}}, Previous: 4}))
	f.Add(appendCheckpoint(nil, Checkpoint{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseCheckpoint(b)
		if err != nil {
			return
		}
		again, err := ParseCheckpoint(appendCheckpoint(nil, p))
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}

func FuzzFooter(f *testing.F) {
	f.Add(appendFooter(nil, Footer{
		Producers: earlier(), Index: Index{{Offset: 1, Pos: 2, Time: 3}},
		Summary: Summary{Next: 1, FirstTime: 2, LastTime: 3, Frames: 4, Bytes: 5},
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseFooter(b)
		if err != nil {
			return
		}
		again, err := ParseFooter(appendFooter(nil, p))
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}
