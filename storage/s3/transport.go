package s3

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// maxWriteConns and maxReadConns bound the connections for appends, and those
	// for all else, so that readers never stand in the way of an append.
	maxWriteConns = 256
	maxReadConns  = 128

	dialTimeout = 5 * time.Second
	// answerTimeout is how long a server may take to answer once it has a request,
	// and how long it may say nothing in the midst of an answer, or take nothing of a
	// request.
	answerTimeout = 30 * time.Second
	// idleTimeout is short: a chunk that is put on a connection which the server is
	// just closing ends its segment.
	idleTimeout = 10 * time.Second
)

// newTransport speaks HTTP/1.1 only: over HTTP/2, net/http sends some requests
// again by itself.
func newTransport(conns int) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialImpatiently(answerTimeout),
		Protocols:             protocols,
		MaxConnsPerHost:       conns,
		MaxIdleConnsPerHost:   conns,
		IdleConnTimeout:       idleTimeout,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		DisableCompression:    true,
	}
}

// dialImpatiently dials connections that fail when the other side has been still for
// so long: a request waits for no server that hangs, or is gone without a word.
func dialImpatiently(patience time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &impatientConn{Conn: conn, patience: patience}, nil
	}
}

type impatientConn struct {
	net.Conn
	patience time.Duration
}

// Read implements net.Conn.
func (c *impatientConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write implements net.Conn.
func (c *impatientConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// once makes sure that no PUT is sent a second time. net/http sends a request
// again, on another connection, if the one it took from its pool turns out to be
// dead and (a) not a byte was written, and it has no body or one that can be
// rewound; or (b) it is idempotent in net/http's eyes: GET, HEAD, OPTIONS, TRACE,
// or one that has an Idempotency-Key. Without GetBody neither is left for a chunk.
// A seal, which has no body, may be sent again under (a): the server has not seen
// the first.
type once struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut {
		r = r.WithContext(r.Context()) // a copy
		r.GetBody = nil
	}
	return o.next.RoundTrip(r)
}

var errDetached = errors.New("the request has ended")

// body is what a PUT sends. net/http may go on reading it after the request has
// failed, while the caller has its buffer back: detach makes that end.
type body struct {
	mu   sync.Mutex // guards rest; held while a piece is copied
	rest []byte
	gone bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.gone:
		return 0, errDetached
	case len(b.rest) == 0:
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// detach returns when the buffer is not touched anymore.
func (b *body) detach() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone, b.rest = true, nil
}
