package s3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

const (
	// idleClose is long: an open segment holds nothing, a sealed one costs three
	// requests, and the next one two more and a write to etcd.
	idleClose = 30 * time.Minute
	// listParallel bounds the unsealed segments that one List looks at together.
	listParallel = 8
	// checkpointAppends bounds the requests that loading a segment's end takes. Each
	// checkpoint before the newest costs one, too: maxChunks has 64 of them.
	checkpointAppends = 64
)

// Store keeps segments below a prefix of a bucket. All methods may be called
// concurrently.
type Store struct {
	config
	log     *slog.Logger
	bucket  *bucket
	metrics *metrics
	// listed are runs on their way from one call to the next.
	listed handOver
}

// Open connects to the bucket that u names:
//
//	s3://bucket/prefix?endpoint=http://host:port&region=R&path-style=true&commit-interval=100ms
//
// All settings are optional; region and endpoint may also come from AWS_REGION and
// AWS_ENDPOINT_URL. Credentials come from AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY, the shared credentials file, or the machine's role.
// Unless o.ReadOnly it proves with a few objects, which it removes again, that
// the server honours If-None-Match. The caller must Close the store.
//
// InvalidConfig: something must be changed, and the message says what.
// StoreUnavailable: the server can't be reached, or asks to come back later.
func Open(ctx context.Context, u *url.URL, o Options) (*Store, error) {
	c, err := configOf(u, os.Getenv)
	if err != nil {
		return nil, err
	}
	creds, err := findCredentials(c)
	if err != nil {
		return nil, err
	}
	s := &Store{config: c, log: o.Logger, metrics: newMetrics()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("store", "s3")
	if s.bucket, err = newBucket(c, creds, s.metrics.count(o.Wrap)); err != nil {
		return nil, &talos.Error{Kind: talos.InvalidConfig, Op: "s3.Open", Subject: c.url, Cause: err}
	}
	begin := s.prove
	if o.ReadOnly {
		begin = s.look
	}
	if err := begin(ctx); err != nil {
		s.bucket.close()
		return nil, s.explainAs(ctx, talos.InvalidConfig, "open", c.url, err)
	}
	return s, nil
}

// Close closes the connections. Appenders must have been sealed or abandoned.
func (s *Store) Close() error {
	s.bucket.close()
	return nil
}

// Traits implements storage.Store. What is not acknowledged is there as a whole
// append, or not at all.
func (s *Store) Traits() storage.Traits {
	return storage.Traits{IdleClose: idleClose, CommitInterval: s.commitInterval, CheckpointAppends: checkpointAppends, OrderedTail: true}
}

func (s *Store) bucketName() string { return s.bucket.name }

// List implements storage.Store.
func (s *Store) List(ctx context.Context, folder string) (storage.Listing, error) {
	if err := context.Cause(ctx); err != nil {
		return storage.Listing{}, s.explain(ctx, "list", folder, err)
	}
	if err := storage.ValidateFolder(folder); err != nil {
		return storage.Listing{}, fmt.Errorf("s3: list: %w", err)
	}
	listing, err := s.list(ctx, folder)
	return listing, s.explain(ctx, "list", folder, err)
}

func (s *Store) list(ctx context.Context, folder string) (storage.Listing, error) {
	entries := map[string]entry{}
	var listing storage.Listing
	err := s.bucket.list(ctx, s.indexFolder(folder), "", false, func(rest string, _ int64) {
		if sub, ok := strings.CutSuffix(rest, "/"); ok {
			if storage.ValidateFolder(sub) == nil {
				listing.Folders = append(listing.Folders, sub)
			}
			return
		}
		if e, ok := parseEntry(rest); ok && !entries[e.name].sealed {
			entries[e.name] = e
		}
	})
	if err != nil {
		return storage.Listing{}, err
	}
	found := make([]storage.Info, 0, len(entries))
	open := make([]string, 0, len(entries))
	for name, e := range entries {
		if e.sealed {
			found = append(found, storage.Info{Name: name, Size: e.bytes, Sealed: true})
		} else {
			open = append(open, name)
		}
	}
	looked, err := s.lookAt(ctx, folder, open)
	if err != nil {
		return storage.Listing{}, err
	}
	listing.Segments = slices.Concat(listing.Segments, found, looked)
	slices.SortFunc(listing.Segments, func(a, b storage.Info) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(listing.Folders)
	return listing, nil
}

// lookAt returns those of the segments that exist: the others are being created
// or removed, or were left so.
func (s *Store) lookAt(ctx context.Context, folder string, names []string) ([]storage.Info, error) {
	runs := make([]run, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(listParallel)
	for i, name := range names {
		group.Go(func() (err error) {
			id := storage.ID{Folder: folder, Name: name}
			runs[i], err = s.load(ctx, id)
			if errors.Is(err, talos.CorruptSegment) {
				return nil // whoever wants to use it is told
			}
			if err == nil && runs[i].exists() {
				s.listed.put(id, runs[i])
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var found []storage.Info
	for i, r := range runs {
		if r.exists() {
			found = append(found, storage.Info{Name: names[i], Size: r.size()})
		}
	}
	return found, nil
}

// load lists a segment's chunks. A chunk that is missing in front of others which
// could not be there without it is damage, unless it only came to be while the
// listing went on; the run before it comes with the error.
func (s *Store) load(ctx context.Context, id storage.ID) (run, error) {
	for last := int64(-1); ; {
		objects, err := s.objects(ctx, id, -1)
		if err != nil {
			return run{}, err
		}
		r := run{}.extend(objects)
		if !r.broken() || !r.exists() {
			return r, nil
		}
		if r.next() == last {
			return r, s.damaged(id, r.next())
		}
		last = r.next()
	}
}

// resume is load, which begins where the call before it in a takeover has ended.
func (s *Store) resume(ctx context.Context, id storage.ID) (run, error) {
	r := s.listed.take(id)
	if !r.exists() {
		return s.load(ctx, id)
	}
	var (
		size    int64
		objects []object
	)
	group, looking := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		size, err = s.bucket.size(looking, s.chunk(id, 0))
		return err
	})
	if !r.sealed {
		group.Go(func() (err error) {
			objects, err = s.objects(looking, id, r.next()-1)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return run{}, err
	}
	if !r.sealed {
		r = r.extend(objects)
	}
	if removed := size <= 0; removed || r.broken() {
		return s.load(ctx, id)
	}
	return r, nil
}

// objects lists a segment's objects with numbers above after.
func (s *Store) objects(ctx context.Context, id storage.ID, after int64) ([]object, error) {
	var objects []object
	from := ""
	if after >= 0 {
		from = s.chunk(id, after)
	}
	err := s.bucket.list(ctx, s.chunks(id), from, true, func(rest string, size int64) {
		if n, ok := parseNumber(rest); ok {
			objects = append(objects, object{n, size})
		}
	})
	return objects, err
}

func (s *Store) damaged(id storage.ID, number int64) error {
	return &talos.Error{
		Kind: talos.CorruptSegment, Op: "s3", Subject: id.String(),
		Detail: fmt.Sprintf("the object %s of the bucket %s is missing, and others behind it are there", s.chunk(id, number), s.bucketName()),
	}
}

// find returns what the index says of one segment.
func (s *Store) find(ctx context.Context, id storage.ID) (e entry, found bool, err error) {
	err = s.bucket.list(ctx, s.entries(id), "", true, func(rest string, _ int64) {
		if one, ok := parseEntry(id.Name + mark + rest); ok && !e.sealed {
			e, found = one, true
		}
	})
	return e, found, err
}

var _ storage.Store = (*Store)(nil)
