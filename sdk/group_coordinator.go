package sdk

import (
	"context"
	"sync/atomic"

	"github.com/talos-log/talos/talos"
)

// coordinatorLink knows which node coordinates a group, as far as it was heard. Its
// methods may be called concurrently.
type coordinatorLink struct {
	client  *Client
	group   string
	address atomic.Pointer[string] // nil while it is not known
}

// call asks the coordinator: where it answered last, or else whichever node any
// node names.
func (k *coordinatorLink) call(ctx context.Context, op string, f func(ctx context.Context, p *peer) error) error {
	what := call{op: op, subject: k.group}
	if address := k.address.Load(); address != nil {
		_, err := k.client.oneNode(ctx, *address, what, f)
		switch kind := talos.KindOf(err); {
		case err == nil:
			return nil
		case kind == talos.NotOwner, kind == talos.NotServing, kind == talos.MetaUnavailable, unreachable(kind):
			k.address.CompareAndSwap(address, nil)
		default:
			return err
		}
	}
	return k.client.anyNode(ctx, what, func(ctx context.Context, p *peer) error {
		err := f(ctx, p)
		if err == nil {
			k.address.Store(&p.address)
		}
		return err
	})
}
