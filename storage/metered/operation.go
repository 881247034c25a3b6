package metered

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/talos-log/talos/storage"
)

// operation is one kind of call.
type operation struct {
	name    string
	seconds prometheus.Observer
	errors  *prometheus.CounterVec
}

// done counts a call that is over.
func (o *operation) done(begun time.Time, err error) {
	o.seconds.Observe(time.Since(begun).Seconds())
	if err != nil && !errors.Is(err, io.EOF) {
		o.errors.WithLabelValues(o.name, errorKind(err)).Inc()
	}
}

// errorKind is the label of an error: those that a store's callers tell apart.
func errorKind(err error) string {
	switch {
	case errors.Is(err, storage.ErrDead):
		return "dead"
	case errors.Is(err, storage.ErrNotFound):
		return "not_found"
	case errors.Is(err, storage.ErrExists):
		return "exists"
	case errors.Is(err, context.Canceled):
		return "canceled"
	default:
		return "other"
	}
}
