package hdfs_test

import (
	"bytes"
	"math/rand/v2"
	"net/url"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/hadoop"
)

const (
	// patience is how long a test waits for what must happen.
	patience = 2 * time.Minute
	// glance is how often it looks.
	glance = 20 * time.Millisecond
)

// segment is one that a test writes in its own process, and what was acknowledged.
type segment struct {
	t        *testing.T
	store    *hdfs.Store
	id       storage.ID
	appender storage.Appender
	sent     []byte
	// file is its path in HDFS.
	file string

	mu    sync.Mutex // guards acked
	acked int
}

// create makes a segment of a store whose URL is root.
func create(t *testing.T, s *hdfs.Store, root, name string, d talos.Durability) *segment {
	t.Helper()
	g := &segment{
		t: t, store: s, id: storage.ID{Folder: "segments", Name: name}, sent: []byte("head of " + name + ";"),
		file: filePath(t, root, "segments", name),
	}
	g.acked = len(g.sent)
	var err error
	g.appender, err = s.Create(t.Context(), g.id, bytes.Clone(g.sent), d)
	require.NoError(t, err)
	t.Cleanup(g.appender.Abandon)
	return g
}

// filePath is where a segment lies in HDFS.
func filePath(t *testing.T, root, folder, name string) string {
	t.Helper()
	u, err := url.Parse(root)
	require.NoError(t, err)
	return path.Join(u.Path, folder, name)
}

// append adds so many bytes, and returns what becomes of them.
func (g *segment) append(size int) <-chan error {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(rand.Uint32())
	}
	g.sent = append(g.sent, p...)
	end := len(g.sent)
	result := make(chan error, 1)
	g.appender.Append(p, func(err error) {
		if err == nil {
			g.mu.Lock()
			g.acked = end
			g.mu.Unlock()
		}
		result <- err
	})
	return result
}

// toChunk is the size of an append, of size at least, that ends with a chunk.
func (g *segment) toChunk(size int) int {
	chunk := int(g.store.Traits().Chunk)
	return size + (chunk-(len(g.sent)+size)%chunk)%chunk
}

func (g *segment) mustAppend(size int) {
	g.t.Helper()
	require.NoError(g.t, <-g.append(size))
}

// fill appends with several appends in flight until that fails, and returns the
// error. sizes tells how much.
func (g *segment) fill(sizes func() int) error {
	var waiting []<-chan error
	for {
		waiting = append(waiting, g.append(sizes()))
		if len(waiting) < writerWindow {
			continue
		}
		if err := <-waiting[0]; err != nil {
			for _, one := range waiting[1:] {
				<-one
			}
			return err
		}
		waiting = waiting[1:]
	}
}

// ackedBytes is the length that was acknowledged.
func (g *segment) ackedBytes() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.acked
}

// mustRecover recovers the segment with some store: what was acknowledged must be
// there.
func (g *segment) mustRecover(s *hdfs.Store) storage.Info {
	g.t.Helper()
	info, err := s.Recover(g.t.Context(), g.id)
	require.NoError(g.t, err)
	g.requireWhole(s, info)
	return info
}

func (g *segment) requireWhole(s *hdfs.Store, info storage.Info) {
	g.t.Helper()
	require.GreaterOrEqual(g.t, int(info.Size), g.ackedBytes(), "acknowledged bytes are lost")
	got := contents(g.t, s, g.id)
	require.Len(g.t, got, int(info.Size))
	require.True(g.t, bytes.HasPrefix(g.sent, got), "what was recovered is what was written, from the start on")
}

// block is the segment's block.
func (g *segment) block(c *hadoop.Cluster) hadoop.Block {
	g.t.Helper()
	blocks := c.Blocks(g.t, g.file)
	require.Len(g.t, blocks, 1)
	return blocks[0]
}

// metric is the value of a counter or gauge, whose label has that value if there is
// one.
func metric(t *testing.T, s *hdfs.Store, name, label string) int {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(s))
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return int(m.GetGauge().GetValue() + m.GetCounter().GetValue())
			}
		}
	}
	return 0
}
