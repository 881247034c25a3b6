package node

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/coordinator/embedded"
	"github.com/talos-log/talos/coordinator/etcd"
	coordmem "github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
)

// Backing opens what a node stands on.
type Backing func(context.Context, *slog.Logger) (*Parts, error)

// Parts are what a node stands on, open.
type Parts struct {
	store storage.Store
	kv    coordinator.KV
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

// Memory keeps everything in memory until the process ends.
func Memory() Backing {
	return func(context.Context, *slog.Logger) (*Parts, error) {
		id, err := newID()
		if err != nil {
			return nil, err
		}
		return &Parts{store: mem.New(), kv: coordmem.New(), nodeID: id}, nil
	}
}

// Folder keeps everything below one folder, which one process at a time may use:
// StoreInUse tells a second one who has it.
func Folder(data string) Backing {
	return func(ctx context.Context, logger *slog.Logger) (_ *Parts, err error) {
		// etcd's lock guards the whole folder, so it comes first.
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
		if p.store, err = local.Open(filepath.Join(data, "store"), local.Options{}); err != nil {
			return nil, storeFault(data, err)
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

// External keeps segments in a folder that all nodes see, and metadata in an
// etcd cluster.
func External(data string, endpoints []string) Backing {
	return func(context.Context, *slog.Logger) (*Parts, error) {
		store, err := local.Open(data, local.Options{})
		if err != nil {
			return nil, storeFault(data, err)
		}
		kv, err := etcd.Open(etcd.Config{Endpoints: endpoints})
		if err != nil {
			return nil, err
		}
		return &Parts{store: store, kv: kv, closers: []func() error{kv.Close}}, nil
	}
}

func storeFault(data string, err error) error {
	return &talos.Error{Kind: talos.StoreUnavailable, Op: "node.Run", Subject: data, Cause: err}
}
