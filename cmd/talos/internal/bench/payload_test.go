package bench

import (
	"bytes"
	"compress/flate"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPayloadIsTheSameInEachRun(t *testing.T) {
	one, other := newPayload(), newPayload()
	require.Len(t, one.random, poolSize)
	require.Len(t, one.text, poolSize)
	a, b, next := make([]byte, 1000), make([]byte, 1000), make([]byte, 1000)
	one.fill(a, 12345)
	other.fill(b, 12345)
	one.fill(next, 12346)
	require.Equal(t, a, b)
	require.NotEqual(t, a, next)
	require.Equal(t, make([]byte, stampSize), a[:stampSize], "the stamp is not touched")
}

// Half of it can't be compressed, also not by a look at other records.
func TestHalfOfThePayloadIsRandom(t *testing.T) {
	p := newPayload()
	var all, packed bytes.Buffer
	value := make([]byte, 1024)
	for n := range int64(500) {
		p.fill(value, n)
		all.Write(value[stampSize:])
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
	p := newPayload()
	for _, size := range []int{stampSize, stampSize + 1, 100, 1 << 20} {
		value := make([]byte, size)
		for _, n := range []int64{0, 1, 1 << 40} {
			p.fill(value, n)
		}
		require.Equal(t, size > stampSize, !bytes.Equal(value, make([]byte, size)))
	}
}

func TestStampNeedsRoom(t *testing.T) {
	_, ok := readStamp(make([]byte, stampSize-1))
	require.False(t, ok)
}
