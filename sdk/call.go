package sdk

import (
	"context"
	"errors"
	"slices"

	"github.com/talos-log/talos/talos"
)

// maxHops bounds the nodes that one call goes to because another one named them
// as the owner.
const maxHops = 4

// call is a request to whichever node answers it.
type call struct {
	op, subject string
	// changes says that the request must not be sent twice: when it was sent and
	// has no clear answer, that is the answer.
	changes bool
}

// anyNode calls f with one node after the other until one has an answer: it goes
// on where a node can't be reached or does not serve, and to the owner that a
// node names. f returns errors of gRPC as they are.
func (c *Client) anyNode(ctx context.Context, what call, f func(ctx context.Context, p *peer) error) error {
	candidates := c.book.candidates()
	var result error
	hops := 0
	for i := 0; i < len(candidates); i++ {
		sent, err := c.oneNode(ctx, candidates[i], what, f)
		if err == nil {
			c.book.answered(candidates[i])
			return nil
		}
		if ctx.Err() != nil || c.ctx.Err() != nil {
			return err
		}
		if result == nil || unreachable(talos.KindOf(result)) {
			result = err // a node's own words say more than that another one is away
		}
		switch kind := talos.KindOf(err); {
		case kind == talos.NotOwner:
			if to := ownerOf(err); to.Address != "" && hops < maxHops && !slices.Contains(candidates[:i+1], to.Address) {
				hops++
				candidates = slices.Insert(candidates, i+1, to.Address)
			}
		case kind == talos.NotServing:
		case sent && what.changes:
			return err
		case unreachable(kind), kind == talos.MetaUnavailable, kind == talos.Incompatible:
		default:
			return err
		}
	}
	return result
}

// ask is anyNode for a call that has an answer.
func ask[T any](ctx context.Context, c *Client, what call, f func(ctx context.Context, p *peer) (T, error)) (T, error) {
	var answer T
	err := c.anyNode(ctx, what, func(ctx context.Context, p *peer) (err error) {
		answer, err = f(ctx, p)
		return err
	})
	return answer, err
}

// oneNode calls f with the node at an address, if that speaks our protocol. It
// tells whether f was called.
func (c *Client) oneNode(
	ctx context.Context, address string, what call, f func(ctx context.Context, p *peer) error,
) (sent bool, err error) {
	p, err := c.peers.take(address)
	if err != nil {
		return false, err
	}
	defer c.peers.release(p)
	if err := c.greet(ctx, p); err != nil {
		return false, c.callError(ctx, what.op, what.subject, err)
	}
	err = c.callError(ctx, what.op, what.subject, f(ctx, p))
	c.learnFrom(p, err)
	return true, err
}

// learnFrom forgets who answers at an address when that may have changed.
func (c *Client) learnFrom(p *peer, err error) {
	switch talos.KindOf(err) {
	case talos.Unavailable, talos.Untrusted, talos.NotOwner, talos.Incompatible:
		p.node.Store(nil)
		c.book.failed(p.address)
	default:
		// Whatever else it said, it is the same node.
	}
}

// ownerOf is the owner that an error names; zero if it names none.
func ownerOf(err error) talos.Owner {
	var e *talos.Error
	if errors.As(err, &e) && e.Kind == talos.NotOwner && e.Owner != nil {
		return *e.Owner
	}
	return talos.Owner{}
}
