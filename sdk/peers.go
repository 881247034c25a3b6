package sdk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/talos-log/talos/internal/codec"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"
)

// maxPeers bounds a client's connections. Beyond it the one that was not used for
// longest is closed; if all are in use, a further address is Unavailable.
const maxPeers = 256

// peers are a client's connections, one for each address.
type peers struct {
	cfg clientConfig

	mu        sync.Mutex // guards all below, and users and used of each peer
	byAddress map[string]*peer
	uses      uint64 // so far
	closed    bool
}

// peer is one connection.
type peer struct {
	address string
	conn    *grpc.ClientConn
	log     talosv1.LogClient
	admin   talosv1.AdminClient
	cluster talosv1.ClusterClient
	groups  talosv1.GroupsClient
	// node is what the node said of itself, if it speaks a protocol of ours; nil
	// while nobody has asked, and after the connection broke.
	node atomic.Pointer[ServerVersion]

	users int
	used  uint64 // when it was last taken
}

func newPeers(cfg clientConfig) *peers {
	return &peers{cfg: cfg, byAddress: make(map[string]*peer)}
}

// take returns the connection to an address, which stays open until release.
func (s *peers) take(address string) (*peer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, closedError("sdk.Client")
	}
	p := s.byAddress[address]
	if p == nil {
		if err := s.makeRoom(); err != nil {
			return nil, err
		}
		var err error
		if p, err = s.dial(address); err != nil {
			return nil, err
		}
		s.byAddress[address] = p
	}
	p.users++
	s.uses++
	p.used = s.uses
	return p, nil
}

func (s *peers) release(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.users--
}

// makeRoom closes the connection that was idle for longest if there are too many.
func (s *peers) makeRoom() error {
	if len(s.byAddress) < maxPeers {
		return nil
	}
	var oldest *peer
	for _, p := range s.byAddress {
		if p.users == 0 && (oldest == nil || p.used < oldest.used) {
			oldest = p
		}
	}
	if oldest == nil {
		return &talos.Error{
			Kind: talos.Unavailable, Op: "sdk.Client",
			Detail: fmt.Sprintf("%d connections are in use, which is the limit of one client", maxPeers),
		}
	}
	delete(s.byAddress, oldest.address)
	_ = oldest.conn.Close() // nobody uses it
	return nil
}

// close closes all connections, used or not.
func (s *peers) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var errs []error
	for _, p := range s.byAddress {
		errs = append(errs, p.conn.Close())
	}
	clear(s.byAddress)
	return errors.Join(errs...)
}

// dial makes a connection; it does not wait for it.
func (s *peers) dial(address string) (*peer, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, &talos.Error{Kind: talos.Unavailable, Op: "sdk.Dial", Subject: address, Detail: "an address is host:port", Cause: err}
	}
	if err := s.cfg.security.check(address); err != nil {
		return nil, err
	}
	states := newStated(s.cfg.protocols)
	target := address
	options := []grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: minReconnect, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxReconnect},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(talos.DefaultLimits().ResponseBytes()), grpc.ForceCodecV2(codec.New()),
		),
		experimental.WithBufferPool(codec.Pool()),
		grpc.WithUnaryInterceptor(states.unary), grpc.WithStreamInterceptor(states.stream),
	}
	options = append(options, s.cfg.security.options()...)
	if s.cfg.dialer != nil {
		target = "passthrough:///" + address
		options = append(options, grpc.WithContextDialer(s.cfg.dialer))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, &talos.Error{Kind: talos.Unavailable, Op: "sdk.Dial", Subject: address, Cause: err}
	}
	return &peer{
		address: address, conn: conn, log: talosv1.NewLogClient(conn), admin: talosv1.NewAdminClient(conn),
		cluster: talosv1.NewClusterClient(conn), groups: talosv1.NewGroupsClient(conn),
	}, nil
}

func (s *stated) unary(
	ctx context.Context, method string, request, answer any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	return invoke(s.in(ctx), method, request, answer, conn, opts...)
}

func (s *stated) stream(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return open(s.in(ctx), desc, conn, method, opts...)
}
