package loadgen

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPartitionsAreShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitions := rapid.Int32Range(1, 100).Draw(t, "partitions")
		of := rapid.IntRange(1, 100).Draw(t, "of")
		owners := map[int32]int{}
		for number := range of {
			own := Share(partitions, number, of)
			require.NotEmpty(t, own)
			for _, p := range own {
				require.Less(t, p, partitions)
				owners[p]++
			}
		}
		require.Len(t, owners, int(partitions), "each has an owner")
		for _, n := range owners {
			require.LessOrEqual(t, n, (of+int(partitions)-1)/int(partitions), "one only, unless there are more than partitions")
		}
	})
}
