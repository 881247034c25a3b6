package failpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// gaugeSize holds two counters of 8 bytes: issued and completed appends, in the
// machine's byte order.
const gaugeSize = 16

// Gauge counts appends in a file that is mapped into memory and shared: what was
// counted is there after SIGKILL, and costs an append nothing. A nil Gauge
// counts nothing.
//
// issued is counted before the store is given the append, completed after the
// store has called back: while issued > completed an append is in flight.
type Gauge struct {
	issued, completed *atomic.Uint64
	mapped            []byte
}

// OpenGauge makes the file, or sets an existing one to zero.
func OpenGauge(path string) (*Gauge, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("append gauge: %w", err)
	}
	err = file.Truncate(gaugeSize)
	var mapped []byte
	if err == nil {
		mapped, err = unix.Mmap(int(file.Fd()), 0, gaugeSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	// The mapping stays when the file is closed.
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("append gauge: %w", err)
	}
	return &Gauge{
		issued:    (*atomic.Uint64)(unsafe.Pointer(&mapped[0])),
		completed: (*atomic.Uint64)(unsafe.Pointer(&mapped[8])),
		mapped:    mapped,
	}, nil
}

// Close ends the mapping; nothing may be counted afterwards.
func (g *Gauge) Close() error { return unix.Munmap(g.mapped) }

func (g *Gauge) issue() {
	if g != nil {
		g.issued.Add(1)
	}
}

func (g *Gauge) complete() {
	if g != nil {
		g.completed.Add(1)
	}
}

// ReadGauge returns what a process counted, dead or alive.
func ReadGauge(path string) (issued, completed uint64, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, fmt.Errorf("append gauge: %w", err)
	}
	if len(text) != gaugeSize {
		return 0, 0, fmt.Errorf("append gauge: %s has %d bytes, want %d", path, len(text), gaugeSize)
	}
	return binary.NativeEndian.Uint64(text), binary.NativeEndian.Uint64(text[8:]), nil
}
