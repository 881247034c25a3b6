package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Ports that tests take lie below the range from which the system takes ports
// for outgoing connections. Otherwise a client that tries to reach a dead node
// could be given the node's own port, and be connected to itself.
const (
	firstPort    = 10_000
	lastPort     = 30_000
	portAttempts = 200
)

// FreeAddress returns host:port, on loopback, of a port that nobody listens on. It
// is this process's as long as it lives: no other call returns it, here or in
// another process of this user. What is to listen there may do so later, and be
// dead for a while.
func FreeAddress() (string, error) {
	listener, err := Listen()
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// Listen listens on a port, on loopback, that FreeAddress could have returned.
func Listen() (net.Listener, error) {
	var last error
	for range portAttempts {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if last = reserve(port); last != nil {
			continue
		}
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return listener, nil
		}
		last = err
	}
	return nil, fmt.Errorf("no free port: %w", last)
}

// reservations are the ports that this process took.
var reservations struct {
	sync.Mutex
	ports map[int]bool
}

// reserve takes a port from all processes until this one ends: it locks the byte
// of that number in a file that they share. Such a lock goes with its process,
// and no child has it.
func reserve(port int) error {
	reservations.Lock()
	defer reservations.Unlock()
	if reservations.ports[port] {
		return fmt.Errorf("port %d was given away before", port)
	}
	file, err := portsFile()
	if err != nil {
		return err
	}
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: int64(port), Len: 1}
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &lock); err != nil {
		return fmt.Errorf("port %d belongs to another process: %w", port, err)
	}
	if reservations.ports == nil {
		reservations.ports = map[int]bool{}
	}
	reservations.ports[port] = true
	return nil
}

// portsFile opens the file once: closing any descriptor of it would end the locks.
var portsFile = sync.OnceValues(func() (*os.File, error) {
	name := filepath.Join(os.TempDir(), fmt.Sprintf("talos-test-ports-%d", os.Getuid()))
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
})
