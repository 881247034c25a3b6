package hadoop

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/talos-log/talos/test/process"
)

const (
	// portAttempts bounds the search for a port that is not taken twice.
	portAttempts = 10
	// startAttempts bounds how often a cluster is started because somebody took
	// one of its ports before it did.
	startAttempts = 3
	// portTaken is what a daemon writes then.
	portTaken = "Address already in use"
)

// freeAddress returns host:port of a port that nobody listens on, another one each
// time: the daemons listen much later.
func (c *Cluster) freeAddress() (string, error) {
	for range portAttempts {
		address, err := process.FreeAddress()
		if err != nil {
			return "", err
		}
		if !slices.Contains(c.addresses, address) {
			c.addresses = append(c.addresses, address)
			return address, nil
		}
	}
	return "", fmt.Errorf("no free port besides the %d that are taken", len(c.addresses))
}

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

// lostAPort says whether a start failed for that reason.
func lostAPort(err error) bool { return strings.Contains(err.Error(), portTaken) }
