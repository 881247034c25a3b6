package loadgen

import (
	"bytes"
	"compress/flate"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPayloadIsTheSameInEachRun(t *testing.T) {
	one, other := NewPayload(), NewPayload()
	require.Len(t, one.random, poolSize)
	require.Len(t, one.text, poolSize)
	a, b, next := make([]byte, 1000), make([]byte, 1000), make([]byte, 1000)
	one.Fill(a, 12345)
	other.Fill(b, 12345)
	one.Fill(next, 12346)
	require.Equal(t, a, b)
	require.NotEqual(t, a, next)
	require.Equal(t, make([]byte, StampBytes), a[:StampBytes], "the stamp is not touched")
}

// Half of it can't be compressed, also not by a look at other records.
func TestHalfOfThePayloadIsRandom(t *testing.T) {
	p := NewPayload()
	var all, packed bytes.Buffer
	value := make([]byte, 1024)
	for n := range int64(500) {
		p.Fill(value, n)
		all.Write(value[StampBytes:])
	}
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	require.NoError(t, err)
	_, err = w.Write(all.Bytes())
	require.NoError(t, err)
	require.NoError(t, w.Close())
	share := float64(packed.Len()) / float64(all.Len())
	require.Greater(t, share, 0.5)
	require.Less(t, share, 0.75)
}

func TestPayloadFillsValuesOfAllSizes(t *testing.T) {
	p := NewPayload()
	for _, size := range []int{StampBytes, StampBytes + 1, 100, 1 << 20} {
		value := make([]byte, size)
		for _, n := range []int64{0, 1, 1 << 40} {
			p.Fill(value, n)
		}
		require.Equal(t, size > StampBytes, !bytes.Equal(value, make([]byte, size)))
	}
}

func TestStampNeedsRoom(t *testing.T) {
	_, ok := readStamp(make([]byte, StampBytes-1))
	require.False(t, ok)
}
