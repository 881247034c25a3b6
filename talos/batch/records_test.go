package batch_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// withPayload puts other bytes in the place of a batch's records.
func withPayload(b []byte, codec batch.Codec, payload []byte) []byte {
	out := append(bytes.Clone(b[:batch.HeaderSize]), payload...)
	binary.BigEndian.PutUint32(out[8:], uint32(len(out)-12))
	binary.BigEndian.PutUint16(out[21:], uint16(codec))
	return restamped(out)
}

func lastError(b []byte, limit int) (records int, err error) {
	for _, e := range batch.Records(b, limit) {
		if e != nil {
			return records, e
		}
		records++
	}
	return records, nil
}

// Readers take what other clients write: snappy without a frame, lz4 with a
// content checksum and large blocks, zstd with a checksum.
func TestRecordsTakesOtherEncoders(t *testing.T) {
	plain := build(t, batch.BuildOptions{}, text("hello hello hello hello", noon))
	payload := plain[batch.HeaderSize:]

	var z4 bytes.Buffer
	w := lz4.NewWriter(&z4)
	require.NoError(t, w.Apply(lz4.BlockSizeOption(lz4.Block4Mb), lz4.ChecksumOption(true)))
	_, err := w.Write(payload)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	zs, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, zs.Close()) }()

	for name, b := range map[string][]byte{
		"raw snappy":    withPayload(plain, batch.Snappy, snappy.Encode(nil, payload)),
		"lz4, 4 MiB":    withPayload(plain, batch.LZ4, z4.Bytes()),
		"zstd checksum": withPayload(plain, batch.Zstd, zs.EncodeAll(payload, nil)),
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, read(t, plain), read(t, b)) })
	}
}

// Snappy is framed as Kafka's Java client frames it, since it reads nothing else.
func TestSnappyIsFramed(t *testing.T) {
	b := build(t, batch.BuildOptions{Codec: batch.Snappy}, text(string(make([]byte, 1000)), noon))
	require.Equal(t, "\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01", string(b[batch.HeaderSize:batch.HeaderSize+16]))
}

func TestRecordsRefuses(t *testing.T) {
	good := build(t, batch.BuildOptions{}, text("a", noon), text("b", noon))
	payload := good[batch.HeaderSize:]
	record := payload[:len(payload)/2] // both have the same size

	for _, c := range []struct {
		name string
		b    []byte
		says string
	}{
		{"a flipped bit", func() []byte { b := bytes.Clone(good); b[len(b)-1] ^= 1; return b }(), "checksum"},
		{"a record less", withPayload(good, batch.None, record), "record 2 of 2: it is malformed"},
		{"a record more", withPayload(good, batch.None, append(bytes.Clone(payload), record...)), "bytes follow the last record"},
		{"twice the same delta", withPayload(good, batch.None, append(bytes.Clone(record), record...)), "offset delta 0"},
		{"a delta beyond the batch", withPayload(good, batch.None, append(bytes.Clone(record), 0x0e, 0, 0, 4, 1, 2, 'b', 0)), "offset delta 2"},
		{"a length beyond the end", withPayload(good, batch.None, binary.AppendVarint(nil, 1<<30)), "malformed"},
		{"a negative length", withPayload(good, batch.None, binary.AppendVarint(nil, -1)), "malformed"},
		{"an endless varint", withPayload(good, batch.None, bytes.Repeat([]byte{0xff}, 20)), "malformed"},
		{"a byte too many in a record", withPayload(good, batch.None, append([]byte{0x10, 0, 0, 0, 1, 2, 'a', 0, 0}, record...)), "malformed"},
		{"a header that isn't there", withPayload(good, batch.None, oneRecord(2, 0, 1)), "malformed"},
		{"not gzip", withPayload(good, batch.Gzip, payload), "gzip"},
		{"not snappy", withPayload(good, batch.Snappy, []byte{0xff}), "snappy"},
		{"snappy with half a frame", withPayload(good, batch.Snappy, []byte("\x82SNAPPY\x00\x00")), "malformed frame"},
		{"snappy with a block too long", withPayload(good, batch.Snappy, []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01\xff\xff\xff\xff")), "malformed frame"},
		{"not lz4", withPayload(good, batch.LZ4, payload), "lz4"},
		{"not zstd", withPayload(good, batch.Zstd, payload), "decompress"},
	} {
		t.Run(c.name, func(t *testing.T) {
			batch.Place(c.b, 4711, 1)
			_, err := lastError(c.b, limit)
			require.ErrorIs(t, err, talos.UndecodableBatch)
			require.ErrorContains(t, err, "offset 4711")
			require.ErrorContains(t, err, c.says)
		})
	}
}

// A few KiB that inflate to 8 MiB stop at the reader's limit, in every codec, and
// the message has that limit: also where it lies on the edge of a block, of which
// framed snappy has many (32 KiB each), or inside of one.
func TestRecordsBoundsInflation(t *testing.T) {
	for codec := batch.None; codec.Known(); codec++ {
		b := build(t, batch.BuildOptions{Codec: codec}, text(string(make([]byte, 8<<20)), noon))
		for _, limit := range []int{0, 1, 32 << 10, 1 << 20, 1<<20 + 4711, 8 << 20} {
			says := fmt.Sprintf("it holds more than %d bytes", limit)
			if codec == batch.None { // nothing is inflated: what the records cost stops it
				says = "the batch holds more than a reader takes"
			}
			_, err := lastError(b, limit)
			require.ErrorIs(t, err, talos.UndecodableBatch, "%v, limit %d", codec, limit)
			require.ErrorContains(t, err, says, "%v, limit %d", codec, limit)
		}
		n, err := lastError(b, 9<<20)
		require.NoError(t, err, "%v", codec)
		require.Equal(t, 1, n)
	}
}

// Records of no bytes still cost memory, and so do their headers.
func TestRecordsBoundsEmptyRecordsAndHeaders(t *testing.T) {
	many := make([]talos.Record, 2000)
	_, err := lastError(build(t, batch.BuildOptions{}, many...), 100_000)
	require.ErrorContains(t, err, "more than a reader takes")

	headers := talos.Record{Headers: make([]talos.Header, 10_000)}
	_, err = lastError(build(t, batch.BuildOptions{}, headers), 100_000)
	require.ErrorContains(t, err, "more than a reader takes")
}

// oneRecord is a record without key and value that claims a number of headers, and
// what follows that claim, whatever it is.
func oneRecord(claim int64, headers ...byte) []byte {
	body := []byte{0, 0, 0, 1, 1} // attributes, time, offset delta, no key, no value
	body = append(binary.AppendVarint(body, claim), headers...)
	return append(binary.AppendVarint(nil, int64(len(body))), body...)
}

// A few bytes that claim very many headers are refused before there is memory for
// those; also a claim that would wrap to a small one in 32 bits, as the decoder
// reads it, or that is just what the bytes could hold if headers had no values.
func TestRecordsRefusesHeadersThatAreNotThere(t *testing.T) {
	good := build(t, batch.BuildOptions{}, text("a", noon))
	header := []byte{0, 1} // an empty key, no value
	n, err := lastError(withPayload(good, batch.None, oneRecord(1, header...)), limit)
	require.NoError(t, err, "the record is good but for its claim")
	require.Equal(t, 1, n)

	refused := func(t *testing.T, record []byte) {
		for _, b := range [][]byte{
			withPayload(good, batch.None, record),
			withPayload(good, batch.Snappy, snappy.Encode(nil, record)),
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := lastError(b, limit)
			runtime.ReadMemStats(&after)
			require.ErrorIs(t, err, talos.UndecodableBatch)
			require.ErrorContains(t, err, "record 1 of 1: it is malformed")
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<10), "bytes allocated")
		}
	}
	for _, claim := range []int64{
		2, 3, 1 << 24, 1<<31 - 1, 1 << 31, 1 << 32, 1<<32 + 1, 1 << 62, 1<<63 - 1, -1, -1 << 31, -1<<32 + 1, -1 << 63,
	} {
		t.Run(strconv.FormatInt(claim, 10), func(t *testing.T) {
			refused(t, oneRecord(claim, header...))
			refused(t, oneRecord(claim))
		})
	}
	t.Run("as many as bytes", func(t *testing.T) { refused(t, oneRecord(1000, make([]byte, 1000)...)) })
}

// A declared size alone takes no memory.
func TestSnappyBoundsDeclaredSizes(t *testing.T) {
	good := build(t, batch.BuildOptions{}, text("a", noon))
	raw := binary.AppendUvarint(nil, 1<<31)
	framed := append([]byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x05"), raw...)
	for name, payload := range map[string][]byte{"raw": raw, "framed": framed} {
		_, err := lastError(withPayload(good, batch.Snappy, payload), limit)
		require.ErrorContains(t, err, fmt.Sprintf("it holds more than %d bytes", limit), name)
	}
}

func TestRecordsMayStopEarly(t *testing.T) {
	b := build(t, batch.BuildOptions{Codec: batch.Gzip}, make([]talos.Record, 100)...)
	n := 0
	for _, err := range batch.Records(b, limit) {
		require.NoError(t, err)
		if n++; n == 3 {
			break
		}
	}
	require.Equal(t, 3, n)
}

func FuzzCheckAndRecords(f *testing.F) {
	for codec := batch.None; codec.Known(); codec++ {
		f.Add(build(f, batch.BuildOptions{Codec: codec, ProducerID: 1}, text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", noon),
			talos.Record{Key: []byte("k"), Headers: []talos.Header{{Key: "h", Value: []byte("v")}}}))
	}
	plain := build(f, batch.BuildOptions{}, text("a", noon))
	for _, claim := range []int64{1, 2, 1 << 31, 1<<32 + 1, -1 << 31} {
		f.Add(withPayload(plain, batch.None, oneRecord(claim, 0, 1)))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		// Both as it is, and with a checksum that lets it pass further.
		for _, b := range [][]byte{b, restamped(bytes.Clone(b))} {
			if _, err := batch.Check(b, 1<<20); err != nil {
				require.NotEqual(t, talos.Internal, talos.KindOf(err))
			}
			if n, err := lastError(b, 1<<20); err == nil {
				h, err := batch.Parse(b) // Check refuses what has bytes behind it
				require.NoError(t, err)
				require.EqualValues(t, h.Records, n)
			}
		}
	})
}

func FuzzInflate(f *testing.F) {
	plain := build(f, batch.BuildOptions{}, text("hello hello hello hello hello", noon))
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := w.Write(plain[batch.HeaderSize:])
	require.NoError(f, err)
	require.NoError(f, w.Close())
	f.Add(int8(batch.Gzip), zipped.Bytes())
	for codec := batch.Gzip; codec.Known(); codec++ {
		b := build(f, batch.BuildOptions{Codec: codec}, text(string(make([]byte, 300)), noon))
		f.Add(int8(codec), b[batch.HeaderSize:])
	}
	f.Fuzz(func(t *testing.T, codec int8, payload []byte) {
		if !batch.Codec(codec).Known() {
			return
		}
		total := 0
		for r, err := range batch.Records(withPayload(plain, batch.Codec(codec), payload), 1<<20) {
			if err != nil {
				require.ErrorIs(t, err, talos.UndecodableBatch)
				return
			}
			total += r.Size()
		}
		require.LessOrEqual(t, total, 1<<20)
	})
}
