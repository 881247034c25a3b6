package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/process"
	"go.uber.org/goleak"
)

var released process.Builder

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := released.Remove(); err != nil {
			panic(err)
		}
		os.Exit(code)
	}))
}

// patience is how long things may take that must happen.
const patience = 2 * time.Minute

// terminal keeps what was printed.
type terminal struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *terminal) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *terminal) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until something was printed, and returns what the expression's
// groups found.
func (o *terminal) await(t *testing.T, expression string) []string {
	t.Helper()
	pattern := regexp.MustCompile(expression)
	require.Eventually(t, func() bool { return pattern.MatchString(o.String()) }, patience, 10*time.Millisecond,
		"it does not say %q but\n%s", expression, o)
	return pattern.FindStringSubmatch(o.String())
}

// What the demo promises: a node is killed, the others go on, it comes back, and
// Ctrl-C ends everything in good order.
func TestAClusterLivesThroughAKill(t *testing.T) {
	binary, err := released.Binary()
	require.NoError(t, err)
	ctx, interrupt := context.WithCancel(t.Context())
	out := &terminal{}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--data", t.TempDir(), "--talos", binary, "--port", "0", "--again", "100ms", "--lease", "1s"}, out)
	}()
	t.Cleanup(func() {
		interrupt()
		ended <- <-ended
	})
	addresses := out.await(t, `TALOS_SERVER=(\S+)\n`)[1]
	require.Len(t, strings.Split(addresses, ","), 3)
	client, err := sdk.Dial(addresses)
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	_, err = client.CreateTopic(t.Context(), "logs", 6, talos.TopicConfig{})
	require.NoError(t, err)
	producer, err := client.NewProducer(t.Context(), "logs")
	require.NoError(t, err)
	write := func() {
		for partition := range int32(6) {
			_, err := producer.SendSync(t.Context(), partition, talos.Record{Value: []byte("x")})
			require.NoError(t, err)
		}
	}
	write()
	pid, err := strconv.Atoi(out.await(t, `node-3 .* process (\d+)`)[1])
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	write()
	out.await(t, `node-3, process \d+, has ended \(signal: killed\)`)
	again, err := strconv.Atoi(out.await(t, `node-3 is started again, as process (\d+)`)[1])
	require.NoError(t, err)
	require.NoError(t, producer.Close(t.Context()))

	interrupt()
	err = <-ended
	ended <- err
	require.NoError(t, err)
	require.ErrorIs(t, syscall.Kill(again, 0), syscall.ESRCH)
}
