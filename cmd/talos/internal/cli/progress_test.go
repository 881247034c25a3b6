package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A meter shows what was counted until then, and leaves nothing on the line.
func TestMeter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var drawn bytes.Buffer
		m := startMeter(&drawn, "logs", 1000)
		m.add(250)
		time.Sleep(2 * progressThrottle)
		synctest.Wait()
		require.Contains(t, drawn.String(), "(250/1000)")
		m.add(5000) // more than there was at the start
		m.end()
		lines := strings.Split(strings.TrimSuffix(drawn.String(), "\r"), "\r")
		require.Empty(t, strings.TrimSpace(lines[len(lines)-1]))
	})
}

// Counting more than expected is no error: the input grew.
func TestMeterEndsAtItsTotal(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		m := startMeter(io.Discard, "logs", 10)
		m.add(50)
		time.Sleep(2 * progressThrottle)
		m.end()
	})
}

// Where there is nobody to see it, or nothing to count, counting costs nothing.
func TestNoMeter(t *testing.T) {
	for _, m := range []*meter{startMeter(nil, "logs", 10), startMeter(io.Discard, "logs", 0)} {
		require.Nil(t, m)
		m.add(1)
		m.end()
	}
}

// Only a file tells how much there is to read.
func TestInputSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in")
	require.NoError(t, os.WriteFile(path, []byte("12345"), 0o600))
	file, err := os.Open(path)
	require.NoError(t, err)
	require.Equal(t, int64(5), inputSize(file))
	require.NoError(t, file.Close())

	read, write, err := os.Pipe()
	require.NoError(t, err)
	require.Zero(t, inputSize(read))
	require.False(t, showsProgress(write, consumePlan{}), "a pager may read it")
	require.NoError(t, write.Close())
	require.NoError(t, read.Close())
	require.Zero(t, inputSize(strings.NewReader("12345")))

	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	require.True(t, showsProgress(null, consumePlan{}))
	require.False(t, showsProgress(null, consumePlan{follow: true}))
	require.False(t, showsProgress(null, consumePlan{output: formatJSON}))
	require.NoError(t, null.Close())
}
