package hadoop

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// shared is the cluster of a test binary: starting one costs several seconds.
var shared struct {
	once    sync.Once
	folder  string
	cluster *Cluster
	err     error
}

// ForTest is the cluster of this test binary, which the first call starts. A test
// that ends daemons calls Restore when it is over. If the test fails, it shows the
// ends of the daemons' logs.
func ForTest(t testing.TB) *Cluster {
	t.Helper()
	return forTest(t, Config{Quick: true})
}

// PairForTest is ForTest with a pair of NameNodes. A test binary has one or the other.
func PairForTest(t testing.TB) *Cluster {
	t.Helper()
	c := forTest(t, Config{Quick: true, Pair: true})
	require.True(t, c.cfg.Pair, "this test binary has a cluster without a pair")
	return c
}

func forTest(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	shared.once.Do(func() { shared.err = startShared(cfg) })
	require.NoError(t, shared.err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(shared.cluster.Tails())
		}
	})
	return shared.cluster
}

// SmallBlocks is the setting of a store's URL with which a test's segments ask for
// little room: the NameNode offers only DataNodes with a block of free space for each
// segment opened lately, and tests open many.
const SmallBlocks = "block-mib=64"

// Store is the URL of a store in this folder, for tests.
func (c *Cluster) Store(folder string) string { return c.URL() + "/" + folder + "?" + SmallBlocks }

// StoreForTest is that of a folder of the test's own, another one each time.
func (c *Cluster) StoreForTest(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return '-'
	}, t.Name())
	return c.Store(name + "-" + rand.Text()[:4])
}

func startShared(cfg Config) error {
	folder, err := os.MkdirTemp("", "talos-hdfs-")
	if err != nil {
		return err
	}
	shared.folder = folder
	// It lives longer than the test that is the first to ask.
	cfg.Folder = folder
	shared.cluster, err = Start(context.Background(), cfg)
	return err
}

// Tests are a package's tests: a *testing.M, or what has one within.
type Tests interface{ Run() int }

// Main runs the tests of a binary, then ends the cluster of ForTest and removes
// its data; after a failure its logs stay. It looks for goroutines that were left
// behind, and returns the exit code.
func Main(m Tests) int {
	code := m.Run()
	if err := endShared(code == 0); err != nil {
		// There is nowhere else to say so.
		_, _ = fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

func endShared(passed bool) error {
	c := shared.cluster
	if c == nil {
		return os.RemoveAll(shared.folder)
	}
	if err := c.Kill(); err != nil {
		return err
	}
	if passed {
		return os.RemoveAll(shared.folder)
	}
	_, err := fmt.Fprintf(os.Stderr, "the logs of HDFS are in %s\n", c.path("log"))
	for _, d := range c.daemons() {
		err = errors.Join(err, os.RemoveAll(d.folder))
	}
	return errors.Join(err, os.RemoveAll(c.path("tmp")))
}

// Restore makes every daemon run again, and waits until the NameNode is out of
// safe mode and in touch with all DataNodes.
func (c *Cluster) Restore(t testing.TB) {
	t.Helper()
	// It is called when the test is over, too.
	require.NoError(t, c.Heal(context.WithoutCancel(t.Context())))
}

// Heal is Restore for programs.
func (c *Cluster) Heal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return c.restore(ctx)
}

// SafeMode makes the NameNode refuse changes, or accept them again. It costs a
// second or two.
func (c *Cluster) SafeMode(t testing.TB, on bool) {
	t.Helper()
	command := "leave"
	if on {
		command = "enter"
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	require.NoError(t, c.tool(ctx, adminClass, "-safemode", command))
}

const adminClass = "org.apache.hadoop.hdfs.tools.DFSAdmin"

// maxTail bounds what is shown of a log, in bytes.
const maxTail = 8 << 10

// Tails are the ends of the daemons' logs.
func (c *Cluster) Tails() string {
	var all strings.Builder
	for _, d := range c.daemons() {
		text, err := tail(d.log)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			text = err.Error()
		}
		fmt.Fprintf(&all, "--- the end of %s:\n%s\n", filepath.Base(d.log), text)
	}
	return all.String()
}

// tail reads the last lines of a file.
func tail(path string) (text string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	b := make([]byte, min(size, maxTail))
	if _, err := f.ReadAt(b, size-int64(len(b))); err != nil {
		return "", err
	}
	if int64(len(b)) < size {
		_, rest, _ := strings.Cut(string(b), "\n")
		return rest, nil
	}
	return string(b), nil
}
