package node

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/talos-log/talos/cmd/talos/internal/stores"
	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/embedded"
	"github.com/talos-log/talos/coordinator/etcd"
	coordmem "github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/storage"
)

// Backing opens what a node stands on.
type Backing func(context.Context, *slog.Logger) (*Parts, error)

// Parts are what a node stands on, open.
type Parts struct {
	store storage.Store
	// collector has the store's own metrics; nil if there are none.
	collector prometheus.Collector
	kv        coordinator.KV
	// nodeID is the id that the parts keep for the node; empty if they keep none.
	nodeID string
	// closers run in reverse order.
	closers []func() error
}

func (p *Parts) close() error {
	var all []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		all = append(all, p.closers[i]())
	}
	return errors.Join(all...)
}

// openStore makes a store a part.
func (p *Parts) openStore(ctx context.Context, location string, logger *slog.Logger) error {
	opened, err := stores.Open(ctx, location, stores.Options{Logger: logger})
	if err != nil {
		return err
	}
	p.store, p.collector = opened.Store, opened.Collector
	p.closers = append(p.closers, opened.Close)
	return nil
}

// Memory keeps everything in memory until the process ends.
func Memory() Backing {
	return func(ctx context.Context, logger *slog.Logger) (*Parts, error) {
		id, err := newID()
		if err != nil {
			return nil, err
		}
		p := &Parts{kv: coordmem.New(), nodeID: id}
		if err := p.openStore(ctx, "mem:", logger); err != nil {
			return nil, err
		}
		return p, nil
	}
}

// Folder keeps everything below one folder, which one process at a time may use:
// StoreInUse tells a second one who has it. Segments go to another store if there
// is a URL of one.
func Folder(data, store string) Backing {
	if store == "" {
		store = filepath.Join(data, "store")
	}
	return func(ctx context.Context, logger *slog.Logger) (_ *Parts, err error) {
		if err := stores.Check(store); err != nil {
			return nil, err
		}
		// etcd's lock guards the whole folder, so it comes before all else.
		server, err := embedded.Start(ctx, filepath.Join(data, "etcd"), logger)
		if err != nil {
			return nil, err
		}
		p := &Parts{closers: []func() error{server.Close}}
		defer func() {
			if err != nil {
				err = errors.Join(err, p.close())
			}
		}()
		if p.nodeID, err = keptID(filepath.Join(data, "node-id")); err != nil {
			return nil, err
		}
		if err := p.openStore(ctx, store, logger); err != nil {
			return nil, err
		}
		kv, err := etcd.Open(etcd.Config{Endpoints: []string{server.Endpoint()}})
		if err != nil {
			return nil, err
		}
		p.kv = kv
		p.closers = append(p.closers, kv.Close)
		return p, nil
	}
}

// External keeps segments in a store that all nodes see, and metadata in an etcd
// cluster, which must answer within cfg.DialTimeout.
func External(store string, cfg etcd.Config) Backing {
	return func(ctx context.Context, logger *slog.Logger) (*Parts, error) {
		kv, err := etcd.Open(cfg)
		if err != nil {
			return nil, err
		}
		p := &Parts{kv: kv, closers: []func() error{kv.Close}}
		if err := kv.Check(ctx); err != nil {
			return nil, errors.Join(err, p.close())
		}
		if err := p.openStore(ctx, store, logger); err != nil {
			return nil, errors.Join(err, p.close())
		}
		return p, nil
	}
}
