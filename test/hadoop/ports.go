package hadoop

import (
	"fmt"
	"net"
	"strconv"
)

// fixedAddress returns host:port of a port that was asked for, or why it can't be
// used.
func fixedAddress(port int) (string, error) {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("the NameNode can't use port %d; choose another one: %w", port, err)
	}
	return address, listener.Close()
}
