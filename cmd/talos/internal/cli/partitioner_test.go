package cli

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
)

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
		require.EqualValues(t, 1173551340%7, newPartitioner(7, -1).choose([]byte("21")))
		require.Equal(t, sdk.KeyPartition([]byte{}, 5), newPartitioner(5, -1).choose([]byte{}), "an empty key is a key")
	})
}
