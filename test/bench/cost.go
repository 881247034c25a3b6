package bench

import (
	"errors"
	"syscall"
	"time"

	"github.com/talos-log/talos/test/process"
)

// costs adds to a leg what it cost processes, and this one. What they did not write to
// disk themselves is written when the clock has stopped, so that it does not burden
// the leg of another system.
func costs(pids []int, leg func() (outcome, error)) (outcome, error) {
	before, err := process.ProcessorTime(pids...)
	own, ownErr := ownTime()
	if err := errors.Join(err, ownErr, process.ResetPeak(pids...)); err != nil {
		return outcome{}, err
	}
	o, err := leg()
	if err != nil {
		return o, err
	}
	ownAfter, ownErr := ownTime()
	after, err := process.ProcessorTime(pids...)
	if err := errors.Join(err, ownErr); err != nil {
		return o, err
	}
	o.cpu, o.client = after-before, ownAfter-own
	o.peak, err = process.PeakMemory(pids...)
	syscall.Sync()
	return o, err
}

// ownTime is what this process has used.
func ownTime() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}
