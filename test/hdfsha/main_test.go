package hdfsha_test

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/process"
)

var released process.Builder

func TestMain(m *testing.M) {
	code := hadoop.Main(m)
	if err := released.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// running is the HDFS of this test binary, with all of its daemons. The test's own
// stores understand its URL.
func running(t *testing.T) *hadoop.Cluster {
	t.Helper()
	c := hadoop.PairForTest(t)
	t.Setenv("HADOOP_CONF_DIR", c.Configuration())
	t.Cleanup(func() { c.Restore(t) })
	return c
}

func openStore(t *testing.T, store string) *hdfs.Store {
	t.Helper()
	u, err := url.Parse(store)
	require.NoError(t, err)
	s, err := hdfs.Open(t.Context(), u, hdfs.Options{
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}
