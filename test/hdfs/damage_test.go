package hdfs_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/hadoop"
)

const failovers = "talos_hdfs_read_failovers_total"

// A byte of one replica is flipped: readers find that, read another replica, and
// count it. When it is flipped in all of them, they say that the segment is damaged.
func TestAFlippedByteIsFound(t *testing.T) {
	cluster := running(t)
	for name, prepare := range map[string]func(*segment){
		"in a sealed segment": func(g *segment) { require.NoError(g.t, g.appender.Seal(g.t.Context())) },
		"in an open segment":  func(*segment) {},
		// The replicas are on disk under another name then.
		"in a recovered segment": func(g *segment) { g.mustRecover(g.store) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := cluster.StoreForTest(t)
			s := openStore(t, root)
			g := create(t, s, root, "damaged", talos.Sync)
			g.mustAppend(5000)
			prepare(g)
			b := g.block(cluster)
			require.Len(t, b.DataNodes, 3)

			flip(t, cluster, b, 0)
			// The NameNode names the replicas in random order.
			require.Eventually(t, func() bool {
				require.Equal(t, string(g.sent), string(contents(t, s, g.id)))
				return metric(t, s, failovers, "checksum") > 0
			}, patience, glance)
			require.Equal(t, 1, metric(t, s, failovers, "checksum"), "the damaged replica comes last from then on")

			flip(t, cluster, b, 1)
			flip(t, cluster, b, 2)
			_, err := read(t.Context(), s, g.id)
			require.ErrorIs(t, err, talos.CorruptSegment)
			require.ErrorContains(t, err, g.file)
			for _, d := range b.DataNodes {
				require.ErrorContains(t, err, d.Address(), "it names each replica")
			}
			require.Equal(t, string(g.sent[4096:]), string(rangeOf(t, s, g.id, 4096, len(g.sent)-4096)), "the rest can be read")
		})
	}
}

// flip damages a byte of a replica.
func flip(t *testing.T, c *hadoop.Cluster, b hadoop.Block, replica int) {
	t.Helper()
	f, err := os.OpenFile(c.BlockFile(t, b.DataNodes[replica], b.ID), os.O_RDWR, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	one := make([]byte, 1)
	_, err = f.ReadAt(one, 1000)
	require.NoError(t, err)
	one[0] ^= 0x10
	_, err = f.WriteAt(one, 1000)
	require.NoError(t, err)
}

func rangeOf(t *testing.T, s storage.Store, id storage.ID, off, n int) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), id)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	p := make([]byte, n)
	_, err = r.ReadAt(t.Context(), p, int64(off))
	require.NoError(t, err)
	return p
}
