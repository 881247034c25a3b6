package hdfsbench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// folder is where the segments of a leg are.
const folder = "figures"

// talosClient is the HDFS store.
type talosClient struct {
	url   *url.URL
	store *hdfs.Store
	// made counts the segments: each has a name of its own.
	made int
}

func openTalos(ctx context.Context, cluster string) (*talosClient, error) {
	u, err := url.Parse(cluster + "/talos?block-mib=128")
	if err != nil {
		return nil, err
	}
	store, err := hdfs.Open(ctx, u, hdfs.Options{})
	if err != nil {
		return nil, err
	}
	return &talosClient{url: u, store: store}, nil
}

func (c *talosClient) close() error { return c.store.Close() }

func durability(sync bool) talos.Durability {
	if sync {
		return talos.Sync
	}
	return talos.Flush
}

// name returns an id that was not used before.
func (c *talosClient) name() storage.ID {
	c.made++
	return storage.ID{Folder: folder, Name: fmt.Sprintf("segment-%d", c.made)}
}

// end seals and removes segments, and reports the first error.
func end(ctx context.Context, s storage.Store, segments map[storage.ID]storage.Appender) error {
	var all errgroup.Group
	for id, a := range segments {
		all.Go(func() error { return errors.Join(a.Seal(ctx), s.Remove(ctx, id)) })
	}
	return all.Wait()
}

func (c *talosClient) append(ctx context.Context, l load) (o outcome, err error) {
	segments := map[storage.ID]storage.Appender{}
	defer func() { err = errors.Join(err, end(ctx, c.store, segments)) }()
	for range l.files {
		id := c.name()
		a, err := c.store.Create(ctx, id, make([]byte, l.size), durability(l.sync))
		if err != nil {
			return o, err
		}
		segments[id] = a
	}
	var (
		all errgroup.Group
		mu  sync.Mutex // guards o.each
	)
	begun := time.Now()
	for _, a := range segments {
		all.Go(func() error {
			each, err := appends(a, l.size, begun.Add(l.lasts))
			mu.Lock()
			defer mu.Unlock()
			o.each = append(o.each, each...)
			return err
		})
	}
	err = all.Wait()
	o.elapsed = time.Since(begun)
	return o, err
}

// appends appends one after the other until the deadline, and tells what each
// took.
func appends(a storage.Appender, size int, deadline time.Time) (each []time.Duration, err error) {
	p := make([]byte, size)
	durable := make(chan error, 1)
	done := func(err error) { durable <- err }
	for begun := time.Now(); begun.Before(deadline); {
		a.Append(p, done)
		if err := <-durable; err != nil {
			return each, err
		}
		now := time.Now()
		each = append(each, now.Sub(begun))
		begun = now
	}
	return each, nil
}

func (c *talosClient) stream(ctx context.Context, bytes int64) (o outcome, err error) {
	id := c.name()
	a, err := c.store.Create(ctx, id, make([]byte, appendBytes), talos.Flush)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, end(ctx, c.store, map[storage.ID]storage.Appender{id: a})) }()
	p := make([]byte, pieceBytes)
	durable := make(chan error, inFlight)
	done := func(err error) { durable <- err }
	begun := time.Now()
	for issued, acked, pieces := 0, 0, int(bytes/pieceBytes); acked < pieces; {
		if issued < pieces && issued-acked < inFlight {
			a.Append(p, done)
			issued++
			continue
		}
		err = errors.Join(err, <-durable)
		acked++
	}
	o.elapsed, o.bytes = time.Since(begun), bytes
	return o, err
}

func (c *talosClient) open(ctx context.Context, count int, sync bool) (o outcome, err error) {
	for range count {
		id := c.name()
		begun := time.Now()
		a, err := c.store.Create(ctx, id, make([]byte, appendBytes), durability(sync))
		if err != nil {
			return o, err
		}
		o.each = append(o.each, time.Since(begun))
		if err := end(ctx, c.store, map[storage.ID]storage.Appender{id: a}); err != nil {
			return o, err
		}
	}
	return o, nil
}
