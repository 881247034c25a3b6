package batch_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

func put16(at int, v int16) func([]byte) []byte {
	return func(b []byte) []byte { binary.BigEndian.PutUint16(b[at:], uint16(v)); return b }
}

func put32(at int, v int32) func([]byte) []byte {
	return func(b []byte) []byte { binary.BigEndian.PutUint32(b[at:], uint32(v)); return b }
}

func put64(at int, v int64) func([]byte) []byte {
	return func(b []byte) []byte { binary.BigEndian.PutUint64(b[at:], uint64(v)); return b }
}

// restamped gives b a checksum that matches, without another change.
func restamped(b []byte) []byte {
	h, err := batch.Parse(b)
	if err != nil {
		return b
	}
	batch.Stamp(b, h.ProducerID, h.ProducerEpoch, h.FirstSequence)
	return b
}

// Each case changes one thing in a good batch.
func TestCheckRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		kind   talos.Kind
		says   string
	}{
		{"nothing", func([]byte) []byte { return nil }, talos.InvalidBatch, "0 bytes are too few"},
		{"half a header", func(b []byte) []byte { return b[:batch.HeaderSize-1] }, talos.InvalidBatch, "too few"},
		{"cut off", func(b []byte) []byte { return b[:len(b)-1] }, talos.InvalidBatch, "it declares"},
		{"a byte too many", func(b []byte) []byte { return append(b, 0) }, talos.InvalidBatch, "1 bytes follow it"},
		{"above the limit", func(b []byte) []byte { return append(b, make([]byte, 1000)...) }, talos.BatchTooLarge, "the limit is 500"},
		{"length below a header", put32(8, 48), talos.InvalidBatch, "it declares 60 bytes"},
		{"negative length", put32(8, -1), talos.InvalidBatch, "it declares 11 bytes"},
		{"huge length", put32(8, 1<<31-1), talos.InvalidBatch, "it declares 2147483659"},
		{"magic 1", func(b []byte) []byte { b[16] = 1; return b }, talos.InvalidBatch, "its magic is 1"},
		{"wrong checksum", func(b []byte) []byte { b[17] ^= 1; return b }, talos.CorruptBatch, ""},
		{"a flipped bit", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, talos.CorruptBatch, ""},
		{"unknown attribute", put16(21, 0x40), talos.InvalidBatch, "attributes 0x40"},
		{"append time", put16(21, 0x08), talos.InvalidBatch, "attributes 0x8"},
		{"transactional", put16(21, 0x10), talos.InvalidBatch, "not taken"},
		{"control", put16(21, 0x20), talos.InvalidBatch, "not taken"},
		{"unknown compression", put16(21, 5), talos.InvalidBatch, "unknown compression"},
		{"fewer records than offsets", put32(57, 1), talos.InvalidBatch, "1 records, last offset delta 1"},
		{"no records", func(b []byte) []byte { return put32(57, 0)(put32(23, -1)(b)) }, talos.InvalidBatch, "0 records"},
		{"negative count", func(b []byte) []byte { return put32(57, -5)(put32(23, -6)(b)) }, talos.InvalidBatch, "-5 records"},
		{"producer id -2", put64(43, -2), talos.InvalidBatch, "producer id -2"},
		{"negative sequence", put32(53, -1), talos.InvalidBatch, "sequence -1"},
		{"negative producer epoch", put16(51, -1), talos.InvalidBatch, "producer epoch -1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := build(t, batch.BuildOptions{ProducerID: 4}, text("a", noon), text("b", noon))
			b = c.change(b)
			if c.kind == talos.InvalidBatch {
				b = restamped(b)
			}
			_, err := batch.Check(b, 500)
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestCheckTakesBatchesOfNoProducer(t *testing.T) {
	b := build(t, batch.BuildOptions{ProducerID: batch.NoProducer, ProducerEpoch: -1, FirstSequence: -1}, text("a", noon))
	h, err := batch.Check(b, len(b))
	require.NoError(t, err)
	require.False(t, h.Idempotent())
}

func TestPlaceLeavesTheChecksum(t *testing.T) {
	b := build(t, batch.BuildOptions{}, text("a", noon))
	batch.Place(b, 1<<40, 12)
	require.True(t, batch.ChecksumOK(b))
	h, err := batch.Parse(b)
	require.NoError(t, err)
	require.EqualValues(t, 1<<40, h.Base)
	require.EqualValues(t, 12, h.LeaderEpoch)
}

func TestAllWalksOverBatches(t *testing.T) {
	one, two := build(t, batch.BuildOptions{}, text("a", noon)), build(t, batch.BuildOptions{}, text("b", noon), text("c", noon))
	both := append(append([]byte{}, one...), two...)

	var got [][]byte
	for b, err := range batch.All(both) {
		require.NoError(t, err)
		got = append(got, b.Bytes)
	}
	require.Equal(t, [][]byte{one, two}, got)

	var failed error
	for _, err := range batch.All(both[:len(both)-1]) {
		failed = err
	}
	require.ErrorIs(t, failed, talos.InvalidBatch, "the second is cut off")
}

func TestCodecNames(t *testing.T) {
	for codec := batch.None; codec.Known(); codec++ {
		parsed, err := batch.ParseCodec(codec.String())
		require.NoError(t, err)
		require.Equal(t, codec, parsed)
	}
	_, err := batch.ParseCodec("brotli")
	require.ErrorContains(t, err, `"brotli"`)
	require.Equal(t, "codec 7", batch.Codec(7).String())
}
