package hadoop

import (
	"fmt"
	"net/url"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Block is a block of a file, as the NameNode knows it.
type Block struct {
	ID    int64
	Stamp int64 // generation stamp
	Size  int64 // in bytes; of a block that is being written, what was told to the NameNode
	// DataNodes are those that hold a replica.
	DataNodes []*Daemon
}

// A line of fsck about a block: "0. BP-1-127.0.0.1-2:blk_3_4 len=5 Live_repl=3
// [DatanodeInfoWithStorage[127.0.0.1:6,DS-7,DISK], ...]". One that is being
// written lists its "Expected_repl".
var (
	blockLine   = regexp.MustCompile(`(?m)^.*:blk_(\d+)_(\d+) len=(\d+) .*$`)
	replicaPart = regexp.MustCompile(`DatanodeInfoWithStorage\[([0-9.:]+),`)
)

// Blocks asks the NameNode for the blocks of a file, in its order.
func (c *Cluster) Blocks(t testing.TB, file string) []Block {
	t.Helper()
	// Only the one who runs the NameNode sees everything.
	self, err := user.Current()
	require.NoError(t, err)
	text, err := c.name.page(t.Context(), "/fsck", url.Values{
		"ugi": {self.Username}, "path": {file},
		"files": {"1"}, "blocks": {"1"}, "locations": {"1"}, "openforwrite": {"1"},
	})
	require.NoError(t, err)
	require.NotContains(t, string(text), "does not exist")
	var blocks []Block
	for _, match := range blockLine.FindAllStringSubmatch(string(text), -1) {
		b := Block{ID: number(t, match[1]), Stamp: number(t, match[2]), Size: number(t, match[3])}
		for _, replica := range replicaPart.FindAllStringSubmatch(match[0], -1) {
			b.DataNodes = append(b.DataNodes, c.at(t, replica[1]))
		}
		blocks = append(blocks, b)
	}
	return blocks
}

func number(t testing.TB, digits string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(digits, 10, 64)
	require.NoError(t, err)
	return n
}

// at is the DataNode that has an address.
func (c *Cluster) at(t testing.TB, address string) *Daemon {
	t.Helper()
	for _, d := range c.data {
		if d.address == address {
			return d
		}
	}
	require.Failf(t, "no such DataNode", "%s", address)
	return nil
}

// BlockFile is the path of a DataNode's replica of a block.
func (c *Cluster) BlockFile(t testing.TB, d *Daemon, blockID int64) string {
	t.Helper()
	return replica(t, d, fmt.Sprintf("blk_%d", blockID))
}

// MetaFile is the path of the checksums of that replica.
func (c *Cluster) MetaFile(t testing.TB, d *Daemon, blockID int64) string {
	t.Helper()
	return replica(t, d, fmt.Sprintf("blk_%d_*.meta", blockID))
}

// OpenReplicas are the files of a DataNode's replicas of all blocks that are being
// written.
func (d *Daemon) OpenReplicas(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(d.folder, "current", "BP-*", "current", "rbw", "blk_*"))
	require.NoError(t, err)
	return slices.DeleteFunc(files, func(file string) bool { return strings.HasSuffix(file, ".meta") })
}

// replica finds a file, in whatever state its block is: finalized ones lie in two
// levels of folders, others in one (rbw, rwr).
func replica(t testing.TB, d *Daemon, name string) string {
	t.Helper()
	var found []string
	for _, folder := range []string{"finalized/*/*", "finalized", "rbw", "rwr"} {
		files, err := filepath.Glob(filepath.Join(d.folder, "current", "BP-*", "current", folder, name))
		require.NoError(t, err)
		found = append(found, files...)
	}
	require.Len(t, found, 1, "%s: %s", d, strings.Join(found, " "))
	return found[0]
}
