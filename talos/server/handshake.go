package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
)

const (
	// lingerTime and lingerBytes bound what is still read of a client that was
	// refused in the handshake.
	lingerTime  = time.Second
	lingerBytes = 64 << 10
)

// explaining are TLS credentials whose refusals reach the client. In TLS 1.3 a
// client sends its first request before it knows whether its certificate is
// taken; a connection that is closed with something unread is reset, and the
// alert that says why is lost.
type explaining struct {
	credentials.TransportCredentials
}

// ServerHandshake implements credentials.TransportCredentials.
func (e explaining) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	open := &keptOpen{Conn: raw, keep: true}
	conn, info, err := e.TransportCredentials.ServerHandshake(open)
	open.keep = false
	if err == nil {
		return conn, info, nil
	}
	var noTLS tls.RecordHeaderError
	if !errors.As(err, &noTLS) { // who speaks no TLS does not understand an alert
		linger(raw)
	}
	// The handshake's error is the one to tell.
	_ = raw.Close()
	return nil, nil, err
}

// Clone implements credentials.TransportCredentials.
func (e explaining) Clone() credentials.TransportCredentials {
	return explaining{e.TransportCredentials.Clone()}
}

// linger reads on for a while.
func linger(conn net.Conn) {
	if conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		// Until the client hangs up, which is what is waited for.
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, lingerBytes))
	}
}

// keptOpen is not closed while keep is set. The goroutine of the handshake alone
// uses it until then.
type keptOpen struct {
	net.Conn
	keep bool
}

// Close implements net.Conn.
func (k *keptOpen) Close() error {
	if k.keep {
		return nil
	}
	return k.Conn.Close()
}
