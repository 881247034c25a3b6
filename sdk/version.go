package sdk

import (
	"context"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// ServerVersion is what a node says of itself. Limits are in bytes.
type ServerVersion struct {
	Version, ClusterID, NodeID    string
	MaxRecordBytes, MaxBatchBytes int
	// Protocols is what the node speaks; the client speaks one of them.
	Protocols talos.Protocols
}

// ServerVersion asks the node that answers first what it is and what it admits.
// Incompatible if the client does not speak its protocol: a Client checks that
// at every node before it asks it anything else.
func (c *Client) ServerVersion(ctx context.Context) (ServerVersion, error) {
	const op = "sdk.ServerVersion"
	var result error
	for _, address := range c.book.candidates() {
		p, err := c.peers.take(address)
		if err != nil {
			return ServerVersion{}, err
		}
		v, err := c.askVersion(ctx, p)
		c.peers.release(p)
		if err == nil {
			c.book.answered(address)
			return v, nil
		}
		if err = c.callError(ctx, op, "", err); result == nil {
			result = err
		}
		if !unreachable(talos.KindOf(err)) || ctx.Err() != nil {
			return ServerVersion{}, err
		}
	}
	return ServerVersion{}, result
}

// greet makes sure that a node speaks a protocol of ours; it asks only if nobody
// has since the connection broke.
func (c *Client) greet(ctx context.Context, p *peer) error {
	if p.node.Load() != nil {
		return nil
	}
	_, err := c.askVersion(ctx, p)
	return err
}

func (c *Client) askVersion(ctx context.Context, p *peer) (ServerVersion, error) {
	const op = "sdk.ServerVersion"
	answer, err := p.admin.Version(ctx, &talosv1.VersionRequest{})
	if err != nil {
		c.learnFrom(p, statusError(op, "", err))
		return ServerVersion{}, err
	}
	v := ServerVersion{
		Version: answer.GetVersion(), ClusterID: answer.GetClusterId(), NodeID: answer.GetNodeId(),
		MaxRecordBytes: int(answer.GetMaxRecordBytes()), MaxBatchBytes: int(answer.GetMaxBatchBytes()),
		Protocols: talos.Protocols{Oldest: max(1, answer.GetOldestProtocol()), Newest: max(1, answer.GetProtocol())},
	}
	if !v.Protocols.Valid() {
		return ServerVersion{}, malformed(op, "")
	}
	// Before anything else is looked at: a node of another time may mean it otherwise.
	if err := talos.CheckProtocols(c.cfg.protocols, v.Protocols, v.NodeID+" ("+v.Version+")"); err != nil {
		return ServerVersion{}, err
	}
	if v.MaxRecordBytes <= 0 || v.MaxBatchBytes <= 0 {
		return ServerVersion{}, malformed(op, "")
	}
	p.node.Store(&v)
	c.book.met(v.NodeID, p.address)
	return v, nil
}
