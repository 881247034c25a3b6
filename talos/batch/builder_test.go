package batch_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"pgregory.net/rapid"
)

const limit = talos.MaxInflatedBytes

var noon = time.UnixMilli(1_700_000_000_000).UTC()

// compressor is shared by the tests, as builders may share it.
var compressor = new(batch.Compressor)

// build makes a batch of records that carry their own times.
func build(t require.TestingT, o batch.BuildOptions, records ...talos.Record) []byte {
	b := batch.NewBuilder(compressor)
	for i := range records {
		b.Add(&records[i], records[i].Timestamp)
	}
	out, err := b.Build(o)
	require.NoError(t, err)
	return out
}

func read(t require.TestingT, b []byte) []batch.Record {
	var all []batch.Record
	for r, err := range batch.Records(b, limit) {
		require.NoError(t, err)
		all = append(all, r)
	}
	return all
}

// The layout is Kafka's, by hand from its documentation.
func TestBuildGolden(t *testing.T) {
	b := build(t, batch.BuildOptions{ProducerID: 0x1122, ProducerEpoch: 3, FirstSequence: 7},
		talos.Record{Key: []byte("k"), Value: []byte("v1"), Timestamp: noon, Headers: []talos.Header{{Key: "h", Value: []byte("x")}}},
		talos.Record{Value: []byte{}, Timestamp: noon.Add(5 * time.Millisecond)},
	)
	want := strings.Join([]string{
		"0000000000000000", // base offset
		"00000046",         // bytes that follow
		"ffffffff",         // leader epoch
		"02",               // magic
		"000efe75",         // checksum
		"0000",             // attributes
		"00000001",         // last offset delta
		"0000018bcfe56800", // base timestamp
		"0000018bcfe56805", // max timestamp
		"0000000000001122", // producer id
		"0003",             // producer epoch
		"00000007",         // first sequence
		"00000002",         // records
		// length 13: attributes, time +0, offset +0, key, value, one header
		"1a", "00", "00", "00", "02" + "6b", "04" + "7631", "02", "02" + "68", "02" + "78",
		// length 6: attributes, time +5, offset +1, key nil, value empty, no header
		"0c", "00", "0a", "02", "01", "00", "00",
	}, "")
	require.Equal(t, want, hex.EncodeToString(b))
}

func TestHeaderOfABuiltBatch(t *testing.T) {
	b := build(t, batch.BuildOptions{ProducerID: 9, ProducerEpoch: 2, FirstSequence: 40},
		talos.Record{Timestamp: noon}, talos.Record{Timestamp: noon.Add(-time.Second)}, talos.Record{Timestamp: noon})
	batch.Place(b, 1000, 6)
	h, err := batch.Check(b, len(b))
	require.NoError(t, err)
	require.Equal(t, batch.Header{
		Base: 1000, LeaderEpoch: 6, LastDelta: 2, Records: 3, Size: len(b),
		BaseTimestamp: noon.UnixMilli(), MaxTimestamp: noon.UnixMilli(),
		ProducerID: 9, ProducerEpoch: 2, FirstSequence: 40,
	}, h)
	require.EqualValues(t, 1003, h.Next())
	require.EqualValues(t, 42, h.LastSequence())
	require.EqualValues(t, 43, h.NextSequence())
	require.True(t, h.Idempotent())
}

func TestBuildRefuses(t *testing.T) {
	b := batch.NewBuilder(new(batch.Compressor))
	_, err := b.Build(batch.BuildOptions{})
	require.ErrorIs(t, err, talos.InvalidBatch, "an empty batch")
	b.Add(&talos.Record{}, noon)
	_, err = b.Build(batch.BuildOptions{Codec: 5})
	require.ErrorIs(t, err, talos.InvalidBatch, "an unknown codec")
}

func TestBuilderIsEmptyAfterBuild(t *testing.T) {
	for codec := batch.None; codec.Known(); codec++ {
		b := batch.NewBuilder(new(batch.Compressor))
		require.Equal(t, batch.HeaderSize, b.Size())
		first := text("first", noon)
		b.Add(&first, noon)
		one, err := b.Build(batch.BuildOptions{Codec: codec, ProducerID: batch.NoProducer})
		require.NoError(t, err)
		require.Zero(t, b.Len())
		second := text("other", noon)
		b.Add(&second, noon)
		two, err := b.Build(batch.BuildOptions{Codec: codec, ProducerID: batch.NoProducer})
		require.NoError(t, err)
		require.Equal(t, first.Value, read(t, one)[0].Value, "%v: the bytes of a batch are not used again", codec)
		require.Equal(t, second.Value, read(t, two)[0].Value)
	}
}

// What does not shrink goes uncompressed, what does carries its codec.
func TestBuildCompressesWhatShrinks(t *testing.T) {
	for codec := batch.Gzip; codec.Known(); codec++ {
		large := text(strings.Repeat("again and ", 1000), noon)
		h, err := batch.Parse(build(t, batch.BuildOptions{Codec: codec}, large))
		require.NoError(t, err)
		require.Equal(t, codec, h.Codec())
		require.Less(t, h.Size, 2000)

		h, err = batch.Parse(build(t, batch.BuildOptions{Codec: codec}, text("x", noon)))
		require.NoError(t, err)
		require.Equal(t, batch.None, h.Codec(), "%v", codec)
	}
}

// Whatever the records, each codec returns them as they were, Size and
// RecordBound hold, and building twice gives the same bytes.
func TestRoundTrip(t *testing.T) {
	bytesOrNil := rapid.OneOf(rapid.Just[[]byte](nil), rapid.SliceOfN(rapid.Byte(), 0, 300), repetitive())
	header := rapid.Custom(func(t *rapid.T) talos.Header {
		return talos.Header{Key: rapid.String().Draw(t, "key"), Value: bytesOrNil.Draw(t, "value")}
	})
	record := rapid.Custom(func(t *rapid.T) talos.Record {
		millis := rapid.OneOf(rapid.Int64Range(0, 4e12), rapid.Int64()).Draw(t, "time")
		return talos.Record{
			Key: bytesOrNil.Draw(t, "key"), Value: bytesOrNil.Draw(t, "value"),
			Headers:   rapid.SliceOfN(header, 0, 3).Draw(t, "headers"),
			Timestamp: time.UnixMilli(millis).UTC(),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(record, 1, 20).Draw(t, "records")
		base := talos.Offset(rapid.Int64Range(0, math.MaxInt64-100).Draw(t, "base"))
		for codec := batch.None; codec.Known(); codec++ {
			o := batch.BuildOptions{Codec: codec, ProducerID: 1, FirstSequence: 5}
			b := batch.NewBuilder(compressor)
			for i := range records {
				before := b.Size()
				b.Add(&records[i], records[i].Timestamp)
				require.LessOrEqual(t, b.Size()-before, batch.RecordBound(&records[i]))
			}
			bound := b.Size()
			out, err := b.Build(o)
			require.NoError(t, err)
			require.LessOrEqual(t, len(out), bound)
			require.Equal(t, out, build(t, o, records...), "the same bytes each time")

			batch.Place(out, base, 1)
			h, err := batch.Check(out, bound)
			require.NoError(t, err)
			require.EqualValues(t, len(records), h.Records)
			require.Equal(t, placed(records, base), read(t, out))
		}
	})
}

// placed is what a reader finds; between no headers and an empty list there is no
// difference.
func placed(records []talos.Record, base talos.Offset) []batch.Record {
	var all []batch.Record
	for i, r := range records {
		if len(r.Headers) == 0 {
			r.Headers = nil
		}
		all = append(all, batch.Record{Offset: base + talos.Offset(i), Record: r})
	}
	return all
}

func text(s string, at time.Time) talos.Record { return talos.Record{Value: []byte(s), Timestamp: at} }

func repetitive() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		return []byte(strings.Repeat("talos", rapid.IntRange(0, 500).Draw(t, "times")))
	})
}

func TestStamp(t *testing.T) {
	b := build(t, batch.BuildOptions{ProducerID: 1, ProducerEpoch: 1, FirstSequence: 9}, text("a", noon), text("b", noon))
	batch.Stamp(b, 77, 4, 0)
	require.Equal(t, build(t, batch.BuildOptions{ProducerID: 77, ProducerEpoch: 4}, text("a", noon), text("b", noon)), b)
}

func TestSequencesGoRound(t *testing.T) {
	for _, c := range []struct{ from, n, want int32 }{
		{0, 0, 0},
		{0, 5, 5},
		{math.MaxInt32, 0, math.MaxInt32},
		{math.MaxInt32, 1, 0},
		{math.MaxInt32 - 1, 5, 3},
		{math.MaxInt32, math.MaxInt32, math.MaxInt32 - 1},
	} {
		t.Run(fmt.Sprintf("%d+%d", c.from, c.n), func(t *testing.T) {
			require.Equal(t, c.want, batch.AddSequence(c.from, c.n))
		})
	}
	h := batch.Header{FirstSequence: math.MaxInt32 - 1, LastDelta: 1}
	require.EqualValues(t, math.MaxInt32, h.LastSequence())
	require.Zero(t, h.NextSequence())
}

// The largest records that a node takes fit into the largest batch, however they
// are put together.
func TestTheLargestRecordsFit(t *testing.T) {
	for _, limits := range []talos.Limits{talos.DefaultLimits(), {RecordBytes: 100}} {
		size := limits.RecordBytes
		for name, r := range map[string]talos.Record{
			"value":         {Value: make([]byte, size)},
			"key":           {Key: make([]byte, size)},
			"empty headers": {Headers: make([]talos.Header, size/16)},
		} {
			require.LessOrEqual(t, r.Size(), size)
			require.LessOrEqual(t, batch.HeaderSize+batch.RecordBound(&r), limits.BatchBytes(), name)
			_, err := batch.Check(build(t, batch.BuildOptions{}, r), limits.BatchBytes())
			require.NoError(t, err, name)
		}
	}
}
