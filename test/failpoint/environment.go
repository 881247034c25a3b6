package failpoint

import (
	"fmt"
	"os"
	"syscall"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/storage"
)

// The environment's variables.
const (
	PointEnv = "TALOS_FAILPOINT"
	GaugeEnv = "TALOS_APPEND_GAUGE"
)

// Instrument wraps a node's parts as the environment asks for. It is called once
// in a process.
func Instrument(s storage.Store, k coordinator.KV) (storage.Store, coordinator.KV, error) {
	var point Point
	var gauge *Gauge
	var err error
	if text := os.Getenv(PointEnv); text != "" {
		if point, err = Parse(text); err != nil {
			return nil, nil, err
		}
	}
	if path := os.Getenv(GaugeEnv); path != "" {
		if gauge, err = OpenGauge(path); err != nil {
			return nil, nil, err
		}
	}
	trap := NewTrap(point, die)
	return Store(s, trap, gauge), KV(k, trap), nil
}

// Announcement is the line that a process writes to standard error before it
// kills itself.
func Announcement(p Point) string { return fmt.Sprintf("failpoint %v: killing this process\n", p) }

// die ends the process as if somebody had killed it: no deferred function runs,
// nothing is flushed.
func die(p Point) {
	// If it can't be written, the test that waits for it fails.
	_, _ = os.Stderr.WriteString(Announcement(p))
	// Killing oneself can't fail; if it did, the process would hang here.
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
