package segment

import (
	"encoding/binary"
	"flag"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files of the newest version anew")

// The bytes of a version never change: what a node wrote must stay readable.
func TestGolden(t *testing.T) {
	for name, chunk := range map[string]int64{"v1.segment": 0, "v1-chunks.segment": 512} {
		t.Run(name, func(t *testing.T) { requireGolden(t, filepath.Join("testdata", name), sealedIn(t, chunk)) })
	}
}

func requireGolden(t *testing.T, path string, o *owner) {
	t.Helper()
	if *rewrite {
		require.NoError(t, os.WriteFile(path, o.bytes, 0o644))
	}
	golden, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, golden, o.bytes)

	l, producers, err := load(golden, LoadOptions{Ordered: true})
	require.NoError(t, err)
	require.True(t, l.Sealed)
	require.Empty(t, cmp.Diff(testHeader(wideOpen), l.Header))
	require.Equal(t, o.producers, producers)
	got, err := readAll(golden, l)
	require.NoError(t, err)
	require.Equal(t, o.batches(o.meta.Next), got)
}

// The first frame, field by field, against docs/format/segment.md.
func TestFrameLayout(t *testing.T) {
	h := frameHeader{
		frameType: TypeData, version: 1, flags: mustUnderstandFrame, payload: 3, salt: 0x1112131415161718, pos: 0x21,
		Meta: Meta{Acked: 0x31, Time: 0x41, Base: 0x51, Next: 0x61}, checkpoint: 0x71,
	}
	got := h.complete(append(make([]byte, headerBytes, 100), "abc"...))
	want := "TLS1" + "\x02" + "\x01" + "\x00\x01" + "\x00\x00\x00\x03" +
		"\x11\x12\x13\x14\x15\x16\x17\x18" +
		"\x00\x00\x00\x00\x00\x00\x00\x21" +
		"\x00\x00\x00\x00\x00\x00\x00\x31" +
		"\x00\x00\x00\x00\x00\x00\x00\x41" +
		"\x00\x00\x00\x00\x00\x00\x00\x71" +
		"\x00\x00\x00\x00\x00\x00\x00\x51" +
		"\x00\x00\x00\x00\x00\x00\x00\x61"
	require.Equal(t, want, string(got[:68]))
	require.Equal(t, "abc\x00\x00\x00\x53", string(got[72:79]))
	require.Len(t, got, 3+FrameOverhead)
	parsed, ok := frameHeaderAt(got, 0x21, 0x1112131415161718)
	require.True(t, ok)
	require.Equal(t, h, parsed)
	require.True(t, frameOK(got))

	// A trailer of another length would lead a reader from the end astray.
	got[78]++
	binary.BigEndian.PutUint32(got[79:], crc32.Checksum(got[:79], castagnoli))
	require.False(t, frameOK(got))
}
