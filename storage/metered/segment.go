package metered

import (
	"context"
	"sync"
	"time"

	"github.com/talos-log/talos/storage"
)

// appender measures a storage.Appender.
type appender struct {
	storage.Appender
	store *Store
	// closed counts the appender out, once.
	closed sync.Once
}

// Append implements storage.Appender.
func (a *appender) Append(p []byte, done func(error)) {
	begun, size := time.Now(), len(p)
	a.Appender.Append(p, func(err error) {
		a.store.append.done(begun, err)
		if err == nil {
			a.store.appendedBytes.Add(float64(size))
		}
		done(err)
	})
}

// Seal implements storage.Appender.
func (a *appender) Seal(ctx context.Context) error {
	begun := time.Now()
	err := a.Appender.Seal(ctx)
	a.store.seal.done(begun, err)
	if err == nil {
		a.closed.Do(a.store.openAppenders.Dec)
	}
	return err
}

// Abandon implements storage.Appender.
func (a *appender) Abandon() {
	a.Appender.Abandon()
	a.closed.Do(a.store.openAppenders.Dec)
}

// reader measures a storage.Reader.
type reader struct {
	storage.Reader
	store *Store
}

// ReadAt implements storage.Reader.
func (r *reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	begun := time.Now()
	n, err := r.Reader.ReadAt(ctx, p, off)
	r.store.read.done(begun, err)
	r.store.readBytes.Add(float64(n))
	return n, err
}

// Size implements storage.Reader.
func (r *reader) Size(ctx context.Context) (int64, error) {
	begun := time.Now()
	size, err := r.Reader.Size(ctx)
	r.store.size.done(begun, err)
	return size, err
}
