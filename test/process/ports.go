package process

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports that tests take lie below the range from which the system takes ports
// for outgoing connections. Otherwise a client that tries to reach a dead node
// could be given the node's own port, and be connected to itself.
const (
	firstPort    = 10_000
	lastPort     = 30_000
	portAttempts = 200
)

// FreeAddress returns host:port, on loopback, of a port that nobody listens on.
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
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(lastPort-firstPort)))
		if err == nil {
			return listener, nil
		}
		last = err
	}
	return nil, fmt.Errorf("no free port: %w", last)
}
