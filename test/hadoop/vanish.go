package hadoop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Vanish ends the process as if its host had lost power: whoever connects to it
// hears nothing, where a process that died has connections refused. Start ends
// that.
func (d *Daemon) Vanish(t testing.TB) {
	t.Helper()
	d.Kill(t)
	for _, address := range d.ports {
		s, err := silence(address)
		require.NoError(t, err, address)
		d.silent = append(d.silent, s...)
	}
}

// silence takes an address where nobody listens, so that connections to it are
// neither accepted nor refused: the one that the system would accept on its own is
// there already.
func silence(address string) ([]io.Closer, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	syscall.CloseOnExec(fd)
	listener := os.NewFile(uintptr(fd), address)
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())})
	}
	if err == nil {
		err = syscall.Listen(fd, 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take %s: %w", address, err), listener.Close())
	}
	only, err := net.Dial("tcp", address)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return []io.Closer{only, listener}, nil
}

// audible ends what Vanish began.
func (d *Daemon) audible() (err error) {
	for _, s := range d.silent {
		err = errors.Join(err, s.Close())
	}
	d.silent = nil
	return err
}
