package rpc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
)

const (
	// DefaultTimeout bounds a call unless Config says otherwise. A NameNode answers
	// in milliseconds, but stops for seconds to collect garbage.
	DefaultTimeout = 5 * time.Second
	// connectTimeout bounds a dial; it is made for everybody who waits.
	connectTimeout = 3 * time.Second
	// maxOutstanding bounds the calls that a client has in flight; more wait.
	maxOutstanding = 256
)

// Config says who calls what.
type Config struct {
	// Address is the server's host:port.
	Address string
	// Protocol is the Java interface that is called, with its package.
	Protocol string
	// User is whom the server believes to be calling.
	User string
	// ClientID together with a call's id names the call to the server for ever.
	// Zero: a random one.
	ClientID [16]byte
	// Timeout bounds each call, besides its context. Zero: DefaultTimeout.
	Timeout time.Duration
	// Dial connects. Nil: TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Call says what is called.
type Call struct {
	Method string
	// ID names the call: the same whenever it is sent again, else never used twice
	// under one ClientID, above zero. Zero: the client picks one. Calls of one
	// client either all bring their ids or none does.
	ID int32
	// Retry is how often the call was sent before.
	Retry int32
}

// Client calls one protocol of one server. All methods may be called
// concurrently. Idle, it holds neither a connection nor a goroutine.
type Client struct {
	config Config
	slots  chan struct{} // holds one element for each call in flight
	ids    atomic.Int32

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	conn    *conn      // the last one; may be dead
	dialing *dialing   // nil unless a dial is under way
	closed  bool
}

// dialing is a dial that several calls wait for. err is set before done closes.
type dialing struct {
	done chan struct{}
	err  error
}

// New returns a client, without connecting. The caller must Close it.
func New(c Config) *Client {
	if c.ClientID == [16]byte{} {
		c.ClientID = NewClientID()
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}
	}
	client := &Client{config: c, slots: make(chan struct{}, maxOutstanding)}
	client.ctx, client.stop = context.WithCancel(context.Background())
	return client
}

// NewClientID returns a random id.
func NewClientID() (id [16]byte) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// Call calls and waits for the answer, for Config.Timeout at most. It returns a
// *RemoteError if the server threw one, ErrNotSent, ErrLost, ErrTimeout,
// ErrKerberos, ErrProtocol, ErrClosed, or the cause of the end of ctx, each
// wrapped with the method and the address.
func (c *Client) Call(ctx context.Context, call Call, req, resp proto.Message) error {
	if call.ID == 0 {
		call.ID = NextID(&c.ids)
	}
	err := c.call(ctx, call, req, resp)
	if err != nil {
		return fmt.Errorf("%s at %s: %w", call.Method, c.config.Address, err)
	}
	return nil
}

// NextID counts call ids up from 1, and begins anew at the end.
func NextID(last *atomic.Int32) int32 {
	for {
		old := last.Load()
		next := int32(1)
		if old > 0 && old < math.MaxInt32 {
			next = old + 1
		}
		if last.CompareAndSwap(old, next) {
			return next
		}
	}
}

func (c *Client) call(ctx context.Context, call Call, req, resp proto.Message) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	frame, err := encodeCall(call, c.config.ClientID[:], c.config.Protocol, req)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.config.Timeout, ErrTimeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return fmt.Errorf("%w, %d calls are in flight: %w", ErrNotSent, maxOutstanding, context.Cause(ctx))
	}
	body, err := c.exchange(ctx, &pending{id: call.ID, frame: frame, answer: make(chan answer, 1)})
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(body, resp); err != nil {
		return fmt.Errorf("the answer can't be read: %w", err)
	}
	return nil
}

// exchange sends a call and waits for what becomes of it.
func (c *Client) exchange(ctx context.Context, p *pending) ([]byte, error) {
	conn, err := c.join(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	select {
	case conn.out <- p:
	case <-conn.dead: // which answers p
	case <-ctx.Done():
	}
	select {
	case a := <-p.answer:
		return a.body, a.err
	case <-ctx.Done():
		if conn.giveUp(p) {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("%w: %w", ErrNotSent, context.Cause(ctx))
	}
}

// join registers a call with a living connection.
func (c *Client) join(ctx context.Context, p *pending) (*conn, error) {
	// The connection at hand may die meanwhile; that a new one does is an error.
	const attempts = 2
	var err error
	for range attempts {
		var conn *conn
		if conn, err = c.connect(ctx); err != nil {
			return nil, err
		}
		if err = conn.register(p); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// connect returns the connection, dialling if there is none alive.
func (c *Client) connect(ctx context.Context) (*conn, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	if c.conn != nil && c.conn.alive() {
		defer c.mu.Unlock()
		return c.conn, nil
	}
	d := c.dialing
	if d == nil {
		d = &dialing{done: make(chan struct{})}
		c.dialing = d
		c.work.Go(func() { c.dial(d) })
	}
	c.mu.Unlock()
	select {
	case <-d.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("still connecting: %w", context.Cause(ctx))
	}
	if d.err != nil {
		return nil, d.err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn, nil
}

func (c *Client) dial(d *dialing) {
	ctx, cancel := context.WithTimeout(c.ctx, connectTimeout)
	defer cancel()
	made, err := c.open(ctx)
	if err != nil && c.ctx.Err() != nil {
		err = ErrClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(d.done)
	c.dialing, d.err = nil, err
	if err != nil {
		return
	}
	c.conn = made
	c.work.Go(made.write)
	c.work.Go(made.read)
	if c.closed {
		made.fail(ErrClosed)
	}
}

// open dials and says who is calling. No answer is due to that.
func (c *Client) open(ctx context.Context) (*conn, error) {
	hello, err := opening(c.config.ClientID[:], c.config.User, c.config.Protocol)
	if err != nil {
		return nil, err
	}
	raw, err := c.config.Dial(ctx, c.config.Address)
	if err != nil {
		return nil, err
	}
	err = raw.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = raw.Write(hello)
	}
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return newConn(raw), nil
}

// Close closes the connection and fails what is in flight with ErrClosed. It
// returns after the last goroutine; closing twice is fine.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	if c.conn != nil {
		c.conn.fail(ErrClosed)
	}
	c.mu.Unlock()
	c.stop()
	c.work.Wait()
}
