package sdk

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// How a lost connection is tried again, and how one that died without a word is
// noticed. Nodes take a ping every 5 s.
const (
	minReconnect     = 20 * time.Millisecond
	maxReconnect     = time.Second
	connectTimeout   = 5 * time.Second
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 10 * time.Second
)

// Client is a connection to a node. It may be used by several goroutines, and
// serves any number of producers and consumers.
type Client struct {
	hangUp func() error // closes the connection, once
	log    talosv1.LogClient
	admin  talosv1.AdminClient
	logger *slog.Logger

	// ctx ends when Close begins, and with it producers and consumers.
	ctx context.Context
	end context.CancelFunc

	mu      sync.Mutex     // guards that nothing is added to running after end
	running sync.WaitGroup // producers
}

// Option configures a Client.
type Option func(*clientConfig)

type clientConfig struct {
	logger *slog.Logger
	dialer func(context.Context, string) (net.Conn, error)
}

// WithLogger sets where the client tells of lost and regained connections; by
// default it tells nobody.
func WithLogger(l *slog.Logger) Option { return func(c *clientConfig) { c.logger = l } }

// WithDialer replaces TCP: dial is called with the address as it was given.
func WithDialer(dial func(ctx context.Context, address string) (net.Conn, error)) Option {
	return func(c *clientConfig) { c.dialer = dial }
}

// Dial returns a client of the node at address, host:port. It does not wait for
// the connection: a node that is not there shows at the first call, as
// Unavailable. InvalidConfig if the address can't be used.
func Dial(address string, opts ...Option) (*Client, error) {
	cfg := clientConfig{logger: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		opt(&cfg)
	}
	target := address
	dialOptions := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: minReconnect, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxReconnect},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(talos.DefaultLimits().ResponseBytes())),
	}
	if cfg.dialer != nil {
		target = "passthrough:///" + address
		dialOptions = append(dialOptions, grpc.WithContextDialer(cfg.dialer))
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, &talos.Error{Kind: talos.InvalidConfig, Op: "sdk.Dial", Detail: "an address is host:port", Cause: err}
	}
	conn, err := grpc.NewClient(target, dialOptions...)
	if err != nil {
		return nil, &talos.Error{Kind: talos.InvalidConfig, Op: "sdk.Dial", Subject: address, Cause: err}
	}
	ctx, end := context.WithCancel(context.Background())
	return &Client{
		hangUp: sync.OnceValue(conn.Close), log: talosv1.NewLogClient(conn), admin: talosv1.NewAdminClient(conn),
		logger: cfg.logger, ctx: ctx, end: end,
	}, nil
}

// Close ends the connection. Close producers before: records that one still has
// fail with Closed. Consumers end, too. A second call does
// nothing more.
func (c *Client) Close() error {
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
	c.running.Wait()
	if err := c.hangUp(); err != nil {
		return &talos.Error{Kind: talos.Internal, Op: "sdk.Close", Cause: err}
	}
	return nil
}

// start runs f until it returns; Close waits for it.
func (c *Client) start(f func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return closedError("sdk.Client")
	}
	c.running.Go(f)
	return nil
}

func closedError(op string) error { return &talos.Error{Kind: talos.Closed, Op: op} }
