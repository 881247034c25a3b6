package hdfsbench

import (
	"context"
	"errors"
	"time"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// gap has a store of its own: one that has seen a DataNode fail leaves it out for a
// while, also after it came back.
func (c *talosClient) gap(ctx context.Context, during func() error) (o outcome, err error) {
	store, err := hdfs.Open(ctx, c.url, hdfs.Options{})
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	g := gapped{client: c, store: store, stop: make(chan struct{}), closed: make(chan error, 1)}
	if err := g.create(ctx); err != nil {
		return o, err
	}
	ended := make(chan error, 1)
	go func() { ended <- g.run(ctx) }()
	err = during()
	close(g.stop)
	err = errors.Join(err, <-ended)
	if g.broken {
		err = errors.Join(err, <-g.closed)
	}
	err = errors.Join(err, g.segment.Seal(ctx))
	for _, id := range g.names {
		err = errors.Join(err, store.Remove(ctx, id))
	}
	return outcome{each: []time.Duration{g.longest}, closed: g.closing}, err
}

// gapped does what the owner of a partition does: it begins a new segment when
// one breaks, and closes the old one beside that.
type gapped struct {
	client  *talosClient
	store   storage.Store
	stop    chan struct{}
	segment storage.Appender
	names   []storage.ID // the segment's is the last
	longest time.Duration
	broken  bool
	// closed gets the outcome of closing the old segment, which took closing.
	closed  chan error
	closing time.Duration
}

func (g *gapped) create(ctx context.Context) error {
	id := g.client.name()
	a, err := g.store.Create(ctx, id, make([]byte, appendBytes), talos.Flush)
	if err != nil {
		return err
	}
	g.segment, g.names = a, append(g.names, id)
	return nil
}

func (g *gapped) run(ctx context.Context) error {
	p := make([]byte, appendBytes)
	durable := make(chan error, 1)
	for last := time.Now(); ; {
		g.segment.Append(p, func(err error) { durable <- err })
		if err := <-durable; err != nil {
			if g.broken {
				return err
			}
			if err := g.roll(ctx); err != nil {
				return err
			}
			continue // the same bytes again
		}
		now := time.Now()
		g.longest = max(g.longest, now.Sub(last))
		last = now
		select {
		case <-g.stop:
			return nil
		default:
		}
	}
}

func (g *gapped) roll(ctx context.Context) error {
	g.broken = true
	old, id := g.segment, g.names[len(g.names)-1]
	go func() {
		begun := time.Now()
		old.Abandon()
		_, err := g.store.Recover(ctx, id)
		g.closing = time.Since(begun)
		g.closed <- err
	}()
	return g.create(ctx)
}
