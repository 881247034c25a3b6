package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is in which unit Linux tells programs of processor time, on all
// machines that Go runs on.
const ticksPerSecond = 100

// ProcessorTime is what processes have used since they began, on all processors.
func ProcessorTime(pids ...int) (time.Duration, error) {
	all := int64(0)
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		ticks, err := parseTicks(string(text))
		if err != nil {
			return 0, err
		}
		all += ticks
	}
	return time.Duration(all) * time.Second / ticksPerSecond, nil
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

// MachineTime is the processor time that all processes and the kernel have used since
// the machine began.
func MachineTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	ticks, err := parseBusy(string(text))
	return time.Duration(ticks) * time.Second / ticksPerSecond, err
}

// parseBusy adds up the first line of proc_stat(5), without idle, iowait and steal.
func parseBusy(stat string) (int64, error) {
	var user, nice, system, idle, iowait, irq, softirq int64
	_, err := fmt.Sscanf(stat, "cpu %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq)
	return user + nice + system + irq + softirq, err
}

// ResidentMemory is what processes hold now, in bytes.
func ResidentMemory(pids ...int) (int64, error) { return memory("VmRSS:", pids) }

// PeakMemory is the sum of the most that each of them ever held, or has held since
// ResetPeak, in bytes.
func PeakMemory(pids ...int) (int64, error) { return memory("VmHWM:", pids) }

// ResetPeak makes PeakMemory count from now on.
func ResetPeak(pids ...int) error {
	for _, pid := range pids {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
			return err
		}
	}
	return nil
}

func memory(field string, pids []int) (all int64, err error) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		n, err := parseKiB(string(text), field)
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", pid, err)
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

// LoadAverage is the machine's over the last minute, as Linux has it; 0 elsewhere.
func LoadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return load
}
