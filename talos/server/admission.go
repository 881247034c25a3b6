package server

import (
	"context"
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server/access"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"
)

// callKey is the key under which a call's context keeps its *call.
type callKey struct{}

// call is a call that was admitted.
type call struct {
	// patience ends a call whose request does not come; nil for calls that may take
	// their time.
	patience *time.Timer
	memory   *reservation
}

// admit decides about a call when its headers have come, before anything of its
// messages takes memory. It runs on the connection's own goroutine and does not
// block.
func (n *Node) admit(ctx context.Context, info *tap.Info) (context.Context, error) {
	conn, known := connectionOf(ctx)
	if !known {
		return ctx, n.outcome(ctx, info.FullMethodName, &talos.Error{Kind: talos.Internal, Op: "server.admit", Detail: "a call without a connection"})
	}
	if err := n.mayEnter(ctx, info); err != nil {
		if conn.refused(err) {
			// What was refused costs memory as long as the connection lives.
			n.hangUp(conn, "too many calls were refused")
		}
		return ctx, n.outcome(ctx, info.FullMethodName, err)
	}
	c := &call{memory: &reservation{node: n.answerBytes, connection: conn.answers, held: &n.metrics.answerBytes}}
	context.AfterFunc(ctx, func() { n.calls.Release(1) })
	ctx = context.WithValue(ctx, callKey{}, c)
	if !n.streaming[info.FullMethodName] {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		c.patience = time.AfterFunc(n.cfg.Capacity.Handshake, cancel)
	}
	return ctx, nil
}

// mayEnter checks who calls, and counts the call.
func (n *Node) mayEnter(ctx context.Context, info *tap.Info) error {
	if err := n.letsIn(ctx, info.Header); err != nil {
		return err
	}
	if !n.calls.TryAcquire(1) {
		return overloaded("%d calls are under way on this node already (limits.streams)", n.cfg.Capacity.Streams)
	}
	return nil
}

// letsIn checks who calls.
func (n *Node) letsIn(ctx context.Context, header metadata.MD) error {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	if secure, ok := p.AuthInfo.(credentials.TLSInfo); ok {
		return n.cfg.Access.Check(&secure.State, header.Get(access.Header))
	}
	return n.cfg.Access.Check(nil, header.Get(access.Header))
}

// hangUp closes a connection that does harm.
func (n *Node) hangUp(conn *connection, why string) {
	if !conn.spoil() {
		return
	}
	n.metrics.hungUp.Inc()
	n.cfg.Logger.Warn("connection closed", "client", conn.Conn.RemoteAddr().String(), "reason", why)
	// It may have ended meanwhile; nothing is lost.
	_ = conn.Close()
}

// callOf returns the admitted call of a context.
func callOf(ctx context.Context) (*call, bool) {
	c, ok := ctx.Value(callKey{}).(*call)
	return c, ok
}

// received notes that the request is there.
func (c *call) received() {
	if c.patience != nil {
		c.patience.Stop()
	}
}

func overloaded(format string, args ...any) error {
	return &talos.Error{Kind: talos.Overloaded, Op: "server.Node", Detail: fmt.Sprintf(format, args...)}
}
