package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/talos-log/talos/talos"
)

const (
	// contenders is how many requests put one probe object at the same time.
	contenders = 4
	// proveTimeout bounds all of the questions at the start.
	proveTimeout = time.Minute
	// tidyTimeout bounds the removal of the probe's objects.
	tidyTimeout = 5 * time.Second
)

// look shows that the bucket can be listed.
func (s *Store) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, proveTimeout)
	defer cancel()
	return s.bucket.list(ctx, s.indexFolder(""), "", false, func(string, int64) {})
}

// prove shows that what the fencing rests on holds: of several requests that put
// one object under If-None-Match only one succeeds, none does afterwards, be that
// object empty or not, and a listing shows it at once.
func (s *Store) prove(ctx context.Context) error {
	if err := s.look(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, proveTimeout)
	defer cancel()
	name := rand.Text()
	for i, content := range []string{"probe", ""} {
		key := s.probe(fmt.Sprintf("%s-%d", name, i))
		err := s.proveOne(ctx, key, []byte(content))
		s.tidy(ctx, key)
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) proveOne(ctx context.Context, key string, content []byte) error {
	errs := make([]error, contenders)
	var group errgroup.Group
	for i := range errs {
		group.Go(func() error {
			errs[i] = s.bucket.create(ctx, key, content)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	put := 0
	for _, err := range errs {
		switch {
		case err == nil:
			put++
		case !errors.Is(err, errTaken) && !errors.Is(err, errConflict):
			return err
		}
	}
	if put > 1 {
		return s.unfit(fmt.Sprintf("it put one object %d times under If-None-Match: *", put))
	}
	if put == 0 {
		return s.unfit("it put an object for none of several requests under If-None-Match: *")
	}
	switch err := s.bucket.create(ctx, key, []byte("again")); {
	case err == nil:
		return s.unfit("it put an object that was there already under If-None-Match: *")
	case !errors.Is(err, errTaken):
		return err
	}
	return s.proveListing(ctx, key, int64(len(content)))
}

func (s *Store) proveListing(ctx context.Context, key string, size int64) error {
	listed := int64(-1)
	err := s.bucket.list(ctx, key, "", true, func(_ string, n int64) { listed = n })
	if err == nil && listed != size {
		err = s.unfit("its listing does not show an object that was just put")
	}
	return err
}

// unfit is for a server on which two nodes could write one segment.
func (s *Store) unfit(what string) error {
	return &talos.Error{
		Kind: talos.InvalidConfig, Op: "s3.Open", Subject: s.url,
		Detail: fmt.Sprintf("%s can't keep segments safe: %s; use a server that honours it, as Amazon S3 and MinIO do, without a proxy that drops the header", s.endpoint, what),
	}
}

// tidy removes the object of a probe, also if the probe's time was up.
func (s *Store) tidy(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	if err := s.bucket.remove(ctx, key); err != nil {
		s.log.Warn("the object of a probe was not removed", "key", key, "error", err)
	}
}
