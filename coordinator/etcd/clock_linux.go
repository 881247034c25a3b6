package etcd

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is a clock that runs also while the machine is suspended, which Go's
// own monotonic clock on Linux does not.
func bootTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return time.Duration(time.Now().UnixNano()) // only kernels before 2.6.39 get here
	}
	return time.Duration(ts.Nano())
}
