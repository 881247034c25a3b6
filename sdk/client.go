package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/talos-log/talos/talos"
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

// defaultMetadataInterval is how often producers and consumers look for new
// partitions and moved ones that they have not noticed.
const defaultMetadataInterval = 30 * time.Second

// Client is a client of a cluster. It may be used by several goroutines, and
// serves any number of producers and consumers.
//
// It knows the addresses that Dial was given, learns those of the nodes that own
// partitions, and goes to them: at most one connection per address, and at most
// 256 in all.
type Client struct {
	cfg   clientConfig
	peers *peers
	book  *addressBook
	// epochs are those that requests of the client carry.
	epochs *epochs

	// ctx ends when Close begins, and with it producers and consumers.
	ctx context.Context
	end context.CancelFunc

	mu      sync.Mutex     // guards that nothing is added to running after end
	running sync.WaitGroup // producers, and the calls of consumers
}

// Option configures a Client.
type Option func(*clientConfig)

type clientConfig struct {
	logger           *slog.Logger
	dialer           func(context.Context, string) (net.Conn, error)
	metadataInterval time.Duration
	protocols        talos.Protocols
	security         security
}

// WithLogger sets where the client tells of lost and regained connections; by
// default it tells nobody.
func WithLogger(l *slog.Logger) Option { return func(c *clientConfig) { c.logger = l } }

// WithDialer replaces TCP: dial is called with an address as it was given to
// Dial, or as a node advertises it.
func WithDialer(dial func(ctx context.Context, address string) (net.Conn, error)) Option {
	return func(c *clientConfig) { c.dialer = dial }
}

// WithMetadataInterval sets how often producers and consumers ask for a topic's
// partitions and their owners when nothing makes them ask: 30 s by default, at
// least 10 ms. Partitions that were added are found within it; an owner that
// moved is found by the node that refuses.
func WithMetadataInterval(d time.Duration) Option {
	return func(c *clientConfig) { c.metadataInterval = d }
}

func newClientConfig(opts []Option) (clientConfig, error) {
	cfg := clientConfig{metadataInterval: defaultMetadataInterval, protocols: talos.OwnProtocols}
	for _, opt := range opts {
		opt(&cfg)
	}
	if cfg.logger == nil {
		cfg.logger = slog.New(slog.DiscardHandler)
	}
	if cfg.metadataInterval < minBackoff {
		return cfg, &talos.Error{
			Kind: talos.InvalidConfig, Op: "sdk.Dial",
			Detail: fmt.Sprintf("metadata interval: %v, the least is %v", cfg.metadataInterval, minBackoff),
		}
	}
	return cfg, nil
}

// Dial returns a client of the cluster that has nodes at the addresses, host:port,
// separated by commas; at most 64. One that can be reached is enough: the others
// are found, and stand in for it. It does not wait for a connection: nodes that
// are not there show at the first call, as Unavailable. InvalidConfig if an
// address or an option can't be used.
func Dial(addresses string, opts ...Option) (*Client, error) {
	cfg, err := newClientConfig(opts)
	if err != nil {
		return nil, err
	}
	seeds := strings.Split(addresses, ",")
	if len(seeds) > maxSeeds {
		return nil, &talos.Error{
			Kind: talos.InvalidConfig, Op: "sdk.Dial", Detail: fmt.Sprintf("%d addresses, the limit is %d", len(seeds), maxSeeds),
		}
	}
	c := &Client{cfg: cfg, peers: newPeers(cfg)}
	for i := range seeds {
		seeds[i] = strings.TrimSpace(seeds[i])
		if err := cfg.security.check(seeds[i]); err != nil {
			_ = c.peers.close() // nobody has used them
			return nil, err
		}
		p, err := c.peers.take(seeds[i])
		if err != nil {
			_ = c.peers.close() // nobody has used them
			return nil, &talos.Error{
				Kind: talos.InvalidConfig, Op: "sdk.Dial", Subject: seeds[i], Detail: "an address is host:port", Cause: errors.Unwrap(err),
			}
		}
		c.peers.release(p)
	}
	c.book, c.epochs = newAddressBook(seeds), newEpochs()
	c.ctx, c.end = context.WithCancel(context.Background())
	return c, nil
}

// Close ends all connections. Close producers before: records that one still has
// fail with Closed. Consumers end, too. A second call does nothing more.
func (c *Client) Close() error {
	c.mu.Lock()
	c.end()
	c.mu.Unlock()
	c.running.Wait()
	if err := c.peers.close(); err != nil {
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
