package bench

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticksPerSecond is in which unit Linux tells programs of processor time, on all
// machines that Go runs on.
const ticksPerSecond = 100

// processorTime is what processes have used since they began.
func processorTime(pids []int) (time.Duration, error) {
	ticks := int64(0)
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		n, err := parseTicks(string(text))
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// ownTime is what this process has used.
func ownTime() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// parseTicks reads utime and stime, the 14th and 15th field, of proc_pid_stat(5).
func parseTicks(stat string) (int64, error) {
	// The second field is the program's name in parentheses, and may hold any.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("%q has too few fields", stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return user + system, errors.Join(err, err2)
}

// resetPeak makes peakMemory count from now on.
func resetPeak(pids []int) error {
	for _, pid := range pids {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
			return err
		}
	}
	return nil
}

// peakMemory is the sum of the most that each process held since resetPeak, in bytes.
func peakMemory(pids []int) (int64, error) { return memory(pids, "VmHWM:") }

// heldMemory is what they hold now, in bytes.
func heldMemory(pids []int) (int64, error) { return memory(pids, "VmRSS:") }

func memory(pids []int, field string) (all int64, err error) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		n, err := parseKiB(string(text), field)
		if err != nil {
			return 0, err
		}
		all += n
	}
	return all, nil
}

// parseKiB reads a field of proc_pid_status(5), and returns it in bytes.
func parseKiB(status, field string) (int64, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("no %s", field)
}
