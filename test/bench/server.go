package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/talos-log/talos/test/process"
)

const (
	// startTimeout bounds the time until a server serves, on a busy machine.
	startTimeout = 2 * time.Minute
	// askInterval is how often one is asked that does not serve yet, and askTimeout
	// bounds one question.
	askInterval = 50 * time.Millisecond
	askTimeout  = 2 * time.Second
	// maxTail is how much of a log is shown after a failure, in bytes.
	maxTail = 4 << 10
)

// launch starts a server whose output goes to a file.
func launch(cmd *exec.Cmd, log string) (*process.Child, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = file, file
	child, err := process.Launch(cmd)
	// The process has a file descriptor of its own.
	return child, errors.Join(err, file.Close())
}

// await waits until ask returns nil. A server that ends meanwhile, or never
// serves, is told with the end of its log, and ended.
func await(ctx context.Context, child *process.Child, log string, ask func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	for {
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			return ask(ctx)
		}()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-child.Ended():
			return fmt.Errorf("it ended while it started: %w\n%s", child.Err(), tail(log))
		case <-ctx.Done():
			err = fmt.Errorf("it does not serve: %w (%w)\n%s", context.Cause(ctx), err, tail(log))
			return errors.Join(err, child.End(os.Kill, endTimeout))
		}
	}
}

// tail is the end of a log, or why there is none.
func tail(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-maxTail):])
}

// names counts the topics of this process.
var names atomic.Int64

// newName is one that no other topic of a run has.
func newName() string { return "bench-" + strconv.FormatInt(names.Add(1), 10) }
