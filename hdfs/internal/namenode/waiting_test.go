package namenode

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write never fails.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Whoever waits for a NameNode that is not there can read so soon, and not once for
// each call.
func TestAClientSaysWhatItWaitsFor(t *testing.T) {
	for name, test := range map[string]struct {
		refuse bool
		says   string
	}{
		"nobody listens": {true, "connection refused"},
		"no answer":      {false, "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, w := start(t, 1, always(reaction{silent: true}))
				w.refuse["nn1"] = test.refuse
				var log buffer
				c.log = slog.New(slog.NewTextHandler(&log, nil))
				var calls sync.WaitGroup
				for range 3 {
					calls.Go(func() {
						_, err := c.Delete(t.Context(), "/a", false)
						require.ErrorIs(t, err, ErrUnavailable)
					})
				}
				time.Sleep(sayFirst + time.Millisecond)
				synctest.Wait()
				require.Equal(t, 1, strings.Count(log.String(), "\n"))
				require.Contains(t, log.String(), `msg="waiting for the NameNode" call=delete namenodes=nn1 since=2s limit=20s`)
				require.Contains(t, log.String(), test.says)
				calls.Wait()
				synctest.Wait()
				require.Equal(t, 2, strings.Count(log.String(), "\n"))
			})
		})
	}
}

func TestACallThatIsAnsweredSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := start(t, 1, always(deleted))
		var log buffer
		c.log = slog.New(slog.NewTextHandler(&log, nil))
		_, err := c.Delete(t.Context(), "/a", false)
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.Empty(t, log.String())
	})
}
