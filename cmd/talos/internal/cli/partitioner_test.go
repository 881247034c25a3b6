package cli

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The values are those of Kafka's own test of the function (UtilsTest).
func TestMurmur2IsKafkas(t *testing.T) {
	for in, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		require.Equalf(t, want, int32(murmur2([]byte(in))), "%q", in)
	}
}

func TestPartitioner(t *testing.T) {
	t.Run("the user's choice beats the key", func(t *testing.T) {
		p := newPartitioner(8, 3)
		require.EqualValues(t, 3, p.choose(nil))
		require.EqualValues(t, 3, p.choose([]byte("foobar")))
	})
	t.Run("without a key it stays on one partition", func(t *testing.T) {
		p := newPartitioner(8, -1)
		first := p.choose(nil)
		require.True(t, first >= 0 && first < 8)
		for range 100 {
			require.Equal(t, first, p.choose(nil))
		}
	})
	t.Run("a key goes where Kafka puts it", func(t *testing.T) {
		// -973932308 & 0x7fffffff = 1173551340.
		require.EqualValues(t, 1173551340%7, keyPartition([]byte("21"), 7))
		require.Equal(t, keyPartition([]byte{}, 5), newPartitioner(5, -1).choose([]byte{}), "an empty key is a key")
	})
}
