package stores

import (
	"context"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/storage/s3"
	"github.com/talos-log/talos/talos"
)

// Options say how to open a store.
type Options struct {
	// Logger may be nil: nothing is logged then.
	Logger *slog.Logger
	// Look opens it for looking: nothing is made, changed or locked.
	Look bool
}

// Opened is an open store. Its user closes it.
type Opened struct {
	storage.Store
	// Collector has the store's own metrics; nil if there are none.
	Collector prometheus.Collector
	close     func() error
}

// Close gives up what the store holds.
func (o *Opened) Close() error {
	if o.close == nil {
		return nil
	}
	return o.close()
}

// Forms lists the URLs that Open takes, for help texts.
const Forms = "file:///path (or a path), hdfs://host:port/path, s3://bucket/prefix?endpoint=URL, mem:"

// Open opens the store at location. InvalidConfig names what is wrong with the
// URL; StoreUnavailable and StoreInUse are the store's word.
func Open(ctx context.Context, location string, o Options) (*Opened, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	u, err := parse(location)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "mem":
		return &Opened{Store: mem.New()}, nil
	case "hdfs":
		s, err := hdfs.Open(ctx, u, hdfs.Options{Logger: o.Logger, ReadOnly: o.Look})
		if err != nil {
			return nil, err
		}
		return &Opened{Store: s, Collector: s, close: s.Close}, nil
	case "s3":
		s, err := s3.Open(ctx, u, s3.Options{Logger: o.Logger, ReadOnly: o.Look})
		if err != nil {
			return nil, err
		}
		return &Opened{Store: s, Collector: s, close: s.Close}, nil
	case "file":
		return openFolder(location, u.Path, o)
	default:
		return openFolder(location, location, o)
	}
}

func openFolder(location, path string, o Options) (*Opened, error) {
	open := local.Open
	if o.Look {
		if _, err := os.Stat(path); err != nil {
			return nil, &talos.Error{Kind: talos.StoreUnavailable, Op: "stores.Open", Subject: location, Cause: err}
		}
		open = func(path string, _ local.Options) (*local.Store, error) { return local.Look(path) }
	}
	store, err := open(path, local.Options{})
	if err != nil {
		return nil, &talos.Error{Kind: talos.StoreUnavailable, Op: "stores.Open", Subject: location, Cause: err}
	}
	return &Opened{Store: store}, nil
}
