package hdfs_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/process"
)

var released process.Builder

// sideBySide is how many tests run at the same time.
const sideBySide = "8"

func TestMain(m *testing.M) {
	if store := os.Getenv(writerEnv); store != "" {
		if err := lifeOf(os.Args[1:]).write(store, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// The tests that may run side by side mostly wait, for heartbeats and sessions. They
	// run when those are over that end daemons.
	flag.Parse()
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := hadoop.Main(m)
	if err := released.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// running is the HDFS of this test binary, with all its DataNodes.
func running(t *testing.T) *hadoop.Cluster {
	t.Helper()
	c := hadoop.ForTest(t)
	t.Cleanup(func() { c.Restore(t) })
	return c
}

func openStore(t *testing.T, store string) *hdfs.Store {
	t.Helper()
	return openWith(t, store, &warnings{}, hdfs.Options{})
}

// openWith opens a store whose warnings can be looked at.
func openWith(t *testing.T, store string, logs *warnings, o hdfs.Options) *hdfs.Store {
	t.Helper()
	o.Logger = slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), logs), &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := open(t, store, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func open(t *testing.T, store string, o hdfs.Options) (*hdfs.Store, error) {
	t.Helper()
	u, err := url.Parse(store)
	require.NoError(t, err)
	return hdfs.Open(t.Context(), u, o)
}

// warnings keeps the log lines of level Warn.
type warnings struct {
	mu    sync.Mutex // guards lines
	lines []string
}

// Write takes one line, as a slog handler writes it.
func (w *warnings) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if bytes.Contains(line, []byte("level=WARN")) {
		w.lines = append(w.lines, string(line))
	}
	return len(line), nil
}

func (w *warnings) all() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "")
}

// contents reads a whole segment.
func contents(t *testing.T, s storage.Store, id storage.ID) []byte {
	t.Helper()
	b, err := read(t.Context(), s, id)
	require.NoError(t, err)
	return b
}

// read is contents for any goroutine.
func read(ctx context.Context, s storage.Store, id storage.ID) (b []byte, err error) {
	r, err := s.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	size, err := r.Size(ctx)
	if err != nil || size == 0 {
		return nil, err
	}
	b = make([]byte, size)
	if n, err := r.ReadAt(ctx, b, 0); int64(n) != size {
		return nil, fmt.Errorf("%d of %d bytes: %w", n, size, err)
	}
	return b, nil
}
