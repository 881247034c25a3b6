package cli

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

// progressThrottle is the least time between two drawings of a bar.
const progressThrottle = 100 * time.Millisecond

// newBar returns the bar that all commands have: it is drawn on w, and gone when
// it is at its end or cleared.
func newBar(w io.Writer, total int64, opts ...progressbar.Option) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total, append([]progressbar.Option{
		progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(20), progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false), progressbar.OptionThrottle(progressThrottle),
	}, opts...)...)
}

// inBytes makes a bar count bytes.
func inBytes() []progressbar.Option {
	return []progressbar.Option{progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true)}
}

// progressOn is where a command draws a bar: standard error if that is a terminal,
// else nothing.
func progressOn(cmd *cobra.Command) io.Writer {
	if file := terminal(cmd.ErrOrStderr()); file != nil {
		return file
	}
	return nil
}

// meter is a bar that a goroutine of its own draws: counting never waits for a
// terminal. A nil one counts nothing.
type meter struct {
	done atomic.Int64
	stop chan struct{}
	gone chan struct{}
}

// startMeter draws a bar on w, which is nil for none; name is a topic, and total is
// where it ends, 0 if that is not known: there is no bar then. Call end.
func startMeter(w io.Writer, name string, total int64, opts ...progressbar.Option) *meter {
	if w == nil || total <= 0 {
		return nil
	}
	m := &meter{stop: make(chan struct{}), gone: make(chan struct{})}
	bar := newBar(w, total, append(opts, progressbar.OptionSetDescription(barTopic(name)), progressbar.OptionSetPredictTime(true))...)
	// A bar that can't be drawn is not worth failing for, here and below.
	_ = bar.Set64(0)
	go func() {
		defer close(m.gone)
		redraw := time.NewTicker(progressThrottle)
		defer redraw.Stop()
		for {
			select {
			case <-redraw.C:
				_ = bar.Set64(min(m.done.Load(), total))
			case <-m.stop:
				_ = bar.Clear()
				return
			}
		}
	}()
	return m
}

// add counts n more; any goroutine may.
func (m *meter) add(n int64) {
	if m != nil {
		m.done.Add(n)
	}
}

// end takes the bar away, and returns when nothing is drawn any more.
func (m *meter) end() {
	if m != nil {
		close(m.stop)
		<-m.gone
	}
}
