package metered

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/metrics"
)

// Store is a storage.Store, a storage.Purger, and the collector of its metrics.
type Store struct {
	inner storage.Store
	// Set makes it a prometheus.Collector.
	metrics.Set
	errors                    *prometheus.CounterVec
	create, append, seal      *operation
	recover, open, read, size *operation
	list, remove, purge       *operation
	appendedBytes, readBytes  prometheus.Counter
	openAppenders             prometheus.Gauge
}

// New returns a store around inner.
func New(inner storage.Store) *Store {
	s := &Store{inner: inner}
	seconds := s.Histograms("talos_store_operation_seconds", 1)
	s.errors = s.Counters("talos_store_errors_total", 2)
	bytes := s.Counters("talos_store_bytes_total", 1)
	s.openAppenders = s.Gauge("talos_store_open_appenders")
	s.appendedBytes, s.readBytes = bytes.WithLabelValues("append"), bytes.WithLabelValues("read")
	for name, op := range map[string]**operation{
		"create": &s.create, "append": &s.append, "seal": &s.seal, "recover": &s.recover, "open": &s.open,
		"read": &s.read, "size": &s.size, "list": &s.list, "remove": &s.remove, "purge": &s.purge,
	} {
		*op = &operation{name: name, seconds: seconds.WithLabelValues(name), errors: s.errors}
	}
	return s
}

// Create implements storage.Store.
func (s *Store) Create(ctx context.Context, id storage.ID, head []byte, d talos.Durability) (storage.Appender, error) {
	begun := time.Now()
	inner, err := s.inner.Create(ctx, id, head, d)
	s.create.done(begun, err)
	if err != nil {
		return nil, err
	}
	s.openAppenders.Inc()
	return &appender{Appender: inner, store: s}, nil
}

// Recover implements storage.Store.
func (s *Store) Recover(ctx context.Context, id storage.ID) (storage.Info, error) {
	begun := time.Now()
	info, err := s.inner.Recover(ctx, id)
	s.recover.done(begun, err)
	return info, err
}

// Open implements storage.Store.
func (s *Store) Open(ctx context.Context, id storage.ID) (storage.Reader, error) {
	begun := time.Now()
	inner, err := s.inner.Open(ctx, id)
	s.open.done(begun, err)
	if err != nil {
		return nil, err
	}
	return &reader{Reader: inner, store: s}, nil
}

// List implements storage.Store.
func (s *Store) List(ctx context.Context, folder string) (storage.Listing, error) {
	begun := time.Now()
	listing, err := s.inner.List(ctx, folder)
	s.list.done(begun, err)
	return listing, err
}

// Remove implements storage.Store.
func (s *Store) Remove(ctx context.Context, id storage.ID) error {
	begun := time.Now()
	err := s.inner.Remove(ctx, id)
	s.remove.done(begun, err)
	return err
}

// Purge implements storage.Purger.
func (s *Store) Purge(ctx context.Context, folder string) error {
	begun := time.Now()
	err := storage.Purge(ctx, s.inner, folder)
	s.purge.done(begun, err)
	return err
}

// Traits implements storage.Store.
func (s *Store) Traits() storage.Traits { return s.inner.Traits() }
