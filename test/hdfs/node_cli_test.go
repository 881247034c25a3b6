package hdfs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/test/process"
)

// The command line on a store in HDFS: what is written comes back byte for byte, and
// can be looked at without a node.
func TestTheCommandLineOnHDFS(t *testing.T) {
	t.Parallel()
	timed(t)
	cluster := running(t)
	store := cluster.StoreForTest(t)
	binary, err := released.Binary()
	require.NoError(t, err)
	node := process.New(t, process.Config{Binary: binary, Data: t.TempDir(), Args: []string{"--store", store}})
	node.Start()
	must := func(args ...string) string {
		t.Helper()
		out, words, code := command(t, args...)
		require.Zero(t, code, "talos %s: %s", strings.Join(args, " "), words)
		return out
	}
	server := []string{"--server", node.Address()}
	input := filepath.Join(t.TempDir(), "lines")
	text := strings.Repeat("a line of text\n", 1000)
	require.NoError(t, os.WriteFile(input, []byte(text), 0o600))

	must(append([]string{"topic", "create", "synced"}, server...)...)
	must(append([]string{"topic", "create", "flushed", "--durability", "flush"}, server...)...)
	for topic, survives := range map[string]string{"synced": "sync", "flushed": "flush"} {
		require.Regexp(t, `durability +`+survives, must(append([]string{"topic", "describe", topic}, server...)...))
		must(append([]string{"produce", topic, "--file", input}, server...)...)
		require.Equal(t, text, must(append([]string{"consume", topic, "--from", "earliest"}, server...)...))
	}
	// Segments that are written can be looked at; a clean end seals them.
	require.Contains(t, must("segment", "verify", "--store", store), "unsealed")
	node.Stop()

	require.NotContains(t, must("segment", "verify", "--store", store), "unsealed")
	var segments []string
	for line := range strings.Lines(must("segment", "list", "--store", store)) {
		if columns := strings.Fields(line); strings.Contains(line, "/0/") {
			segments = append(segments, columns[len(columns)-1])
		}
	}
	require.Len(t, segments, 2)
	require.Contains(t, must("segment", "dump", segments[0], "--store", store), "footer")

	_, words, code := command(t, "segment", "dump", segments[0]+"-no", "--store", store)
	require.NotZero(t, code)
	require.Contains(t, words, segments[0]+"-no")
	_, words, code = command(t, "segment", "list", "--store", cluster.Store("nothing/here"))
	require.NotZero(t, code)
	require.Contains(t, words, "nothing/here: the store can't be used: there is no such folder")
}

// A NameNode that is not there is said, first that it is waited for, and then what to
// do.
func TestDevWithoutHDFS(t *testing.T) {
	t.Parallel()
	_, words, code := command(t, "dev", "--store", "hdfs://127.0.0.1:1/x", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--http", "")
	require.NotZero(t, code)
	require.Regexp(t, `waiting for the NameNode.*connection refused(?s:.*)no NameNode answers at 127.0.0.1:1: check the address`, words)
}
