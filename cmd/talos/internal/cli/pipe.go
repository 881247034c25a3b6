package cli

import (
	"context"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pipeCheck is how often a command that waits looks whether its output is still
// read.
const pipeCheck = 250 * time.Millisecond

// whileRead returns a context that ends with cause EPIPE soon after the reader of
// out has closed it: a write would tell, but a command that waits for records
// does not write. stop must be called.
func whileRead(ctx context.Context, out io.Writer) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	file, ok := out.(*os.File)
	if !ok {
		return ctx, func() { cancel(nil) }
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		check := time.NewTicker(pipeCheck)
		defer check.Stop()
		for {
			select {
			case <-check.C:
				if unread(file) {
					cancel(syscall.EPIPE)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-ended
	}
}

// unread tells whether file is a pipe that nobody reads any more.
func unread(file *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(file.Fd())}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}
