package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	// callAttempts is how often a request that may be repeated is sent.
	callAttempts = 3
	// onceOnly turns the library's own retries off.
	onceOnly = 1
	// putTimeout bounds what is sent once. Whether it was put is not known then.
	putTimeout = 30 * time.Second
	// closeTimeout is how long what nobody waits for anymore may take at the end.
	closeTimeout = 5 * time.Second
)

// errTaken and errConflict are the answers 412 and 409 to a conditional PUT: the
// key has an object; or another request for it was under way.
var (
	errTaken    = errors.New("the key is taken")
	errConflict = errors.New("another request for the key was under way")
)

// bucket makes the requests. Its methods may be called concurrently.
type bucket struct {
	name string
	// appends sends what must not be sent twice; calls sends everything else.
	appends, calls minio.Core
	idle           func() // closes the connections
	// life ends with close, and with it what is flying: the requests of create.
	life   context.Context
	end    context.CancelFunc
	flying sync.WaitGroup
}

func newBucket(c config, creds *credentials.Credentials, wrap func(http.RoundTripper) http.RoundTripper) (*bucket, error) {
	if wrap == nil {
		wrap = func(t http.RoundTripper) http.RoundTripper { return t }
	}
	writes, reads := newTransport(maxWriteConns), newTransport(maxReadConns)
	b := &bucket{name: c.bucket, idle: func() {
		writes.CloseIdleConnections()
		reads.CloseIdleConnections()
	}}
	b.life, b.end = context.WithCancel(context.Background())
	options := minio.Options{
		Creds: creds, Secure: c.endpoint.Scheme == "https", Region: c.region, BucketLookup: c.lookup,
		// Above wrap, so that what tests inject sees requests as they are sent.
		Transport: once{wrap(writes)}, MaxRetries: onceOnly,
	}
	appends, err := minio.NewCore(c.endpoint.Host, &options)
	if err != nil {
		return nil, err
	}
	options.Transport, options.MaxRetries = wrap(reads), callAttempts
	calls, err := minio.NewCore(c.endpoint.Host, &options)
	if err != nil {
		return nil, err
	}
	b.appends, b.calls = *appends, *calls
	return b, nil
}

// close waits a while for the requests that are flying. No other may come anymore.
func (b *bucket) close() {
	impatience := time.AfterFunc(closeTimeout, b.end)
	b.flying.Wait()
	impatience.Stop()
	b.end()
	b.idle()
}

// create puts an object where there is none, and sends that request once. It
// does not touch p anymore once it has returned. errTaken: there is one already.
// errConflict, and any other error: the object may be there, now or later.
//
// When ctx ends it returns, but the request goes on. MinIO has no order for one that
// is broken off: what it was just putting may come after others have put something
// under the same key, in spite of the condition, and take its place.
func (b *bucket) create(ctx context.Context, key string, p []byte) error {
	if err := context.Cause(ctx); err != nil {
		return named("put", key, err)
	}
	content := &body{rest: p}
	defer content.detach()
	result := make(chan error, 1)
	b.flying.Go(func() { result <- b.putOnce(key, content, int64(len(p))) })
	var err error
	select {
	case err = <-result:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	switch minio.ToErrorResponse(err).StatusCode {
	case http.StatusPreconditionFailed:
		return fmt.Errorf("put %s: %w: %w", key, errTaken, err)
	case http.StatusConflict:
		return fmt.Errorf("put %s: %w: %w", key, errConflict, err)
	}
	return named("put", key, err)
}

func (b *bucket) putOnce(key string, content io.Reader, size int64) error {
	ctx, cancel := context.WithTimeout(b.life, putTimeout)
	defer cancel()
	var options minio.PutObjectOptions
	options.SetMatchETagExcept("*")
	_, err := b.appends.PutObject(ctx, b.name, key, content, size, "", "", options)
	return err
}

// overwrite puts an empty object, whatever there is.
func (b *bucket) overwrite(ctx context.Context, key string) error {
	_, err := b.calls.PutObject(ctx, b.name, key, strings.NewReader(""), 0, "", "", minio.PutObjectOptions{})
	return named("put", key, err)
}

// read fills p with what an object has from off on.
func (b *bucket) read(ctx context.Context, key string, off int64, p []byte) error {
	var err error
	for range callAttempts {
		if err = b.readOnce(ctx, key, off, p); err == nil || !errors.Is(err, io.ErrUnexpectedEOF) || ctx.Err() != nil {
			break
		}
	}
	return named("get", key, err)
}

func (b *bucket) readOnce(ctx context.Context, key string, off int64, p []byte) error {
	var options minio.GetObjectOptions
	if err := options.SetRange(off, off+int64(len(p))-1); err != nil {
		return err
	}
	content, _, _, err := b.calls.GetObject(ctx, b.name, key, options)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(content, p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return errors.Join(err, content.Close())
}

// size returns an object's size, -1 if there is none.
func (b *bucket) size(ctx context.Context, key string) (int64, error) {
	info, err := b.calls.StatObject(ctx, b.name, key, minio.StatObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return -1, nil
	}
	return info.Size, named("head", key, err)
}

// list calls visit with everything whose key begins with prefix and is behind
// after: objects, and if not deep also what there is up to the next "/", with
// size 0 and the "/" at its end. Keys come without the prefix. A listing of
// several pages is not of one moment.
func (b *bucket) list(ctx context.Context, prefix, after string, deep bool, visit func(rest string, size int64)) error {
	for o := range b.calls.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: prefix, StartAfter: after, Recursive: deep, FetchOwner: new(bool)}) {
		if o.Err != nil {
			return named("list", prefix, o.Err)
		}
		visit(strings.TrimPrefix(o.Key, prefix), o.Size)
	}
	// The library ends a listing silently when the context ends.
	return context.Cause(ctx)
}

// remove removes objects; those that are not there count as removed.
func (b *bucket) remove(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	if len(keys) == 1 {
		return named("delete", keys[0], b.calls.RemoveObject(ctx, b.name, keys[0], minio.RemoveObjectOptions{}))
	}
	results, err := b.calls.RemoveObjectsWithIter(ctx, b.name, infos(keys), minio.RemoveObjectsOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for r := range results {
		if r.Err != nil && minio.ToErrorResponse(r.Err).Code != minio.NoSuchKey {
			errs = append(errs, named("delete", r.ObjectName, r.Err))
		}
	}
	return errors.Join(append(errs, context.Cause(ctx))...)
}

func infos(keys []string) iter.Seq[minio.ObjectInfo] {
	return func(yield func(minio.ObjectInfo) bool) {
		for key := range slices.Values(keys) {
			if !yield(minio.ObjectInfo{Key: key}) {
				return
			}
		}
	}
}

// named says in an error which request failed.
func named(request, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", request, key, err)
}
