package hdfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path"
	"sync"

	"github.com/colinmarc/hdfs/v2/hadoopconf"
	"golang.org/x/sync/singleflight"

	"github.com/talos-log/talos/hdfs/internal/datanode"
	"github.com/talos-log/talos/hdfs/internal/namenode"
	"github.com/talos-log/talos/hdfs/internal/wire"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// Store keeps segments below one folder of an HDFS. All methods may be called
// concurrently.
type Store struct {
	config
	log     *slog.Logger
	step    func(Step)
	metrics *metrics
	names   *namenode.Client
	lease   *namenode.Lease
	// client is the lease holder of everything that this store writes.
	client   string
	reads    *datanode.Reads
	nodes    *suspects
	open     *openSegments
	upkeep   *upkeep
	readOnly bool
	// leftovers are segments that were given up, and can be closed at once.
	leftovers leftovers
	slowRolls slowRolls
	// recovering joins the recoveries of one segment by this process.
	recovering singleflight.Group

	stop context.CancelFunc
	ctx  context.Context // ends with Close
	work sync.WaitGroup
}

// Open connects to the HDFS that u names: hdfs://[user@]host[:port]/path, with
// the settings ?replication=N, min-replicas=N, open-segments=N and block-mib=N. It reads the Hadoop
// configuration in HADOOP_CONF_DIR if there is one. Unless o.ReadOnly it makes
// the folder, and proves that segments can be written below it. The caller must
// Close the store.
func Open(ctx context.Context, u *url.URL, o Options) (*Store, error) {
	conf, err := hadoopconf.LoadFromEnvironment()
	if err != nil {
		return nil, invalid(u, fmt.Sprintf("the Hadoop configuration can't be read: %v", err))
	}
	c, err := configOf(u, conf, os.Getenv)
	if err != nil {
		return nil, err
	}
	s := newStore(c, o)
	open := s.prove
	if o.ReadOnly {
		open = s.find
	}
	if err := open(ctx); err != nil {
		return nil, fmt.Errorf("open %s: %w", u.Redacted(), joinClose(err, s))
	}
	return s, nil
}

func joinClose(err error, s *Store) error {
	if closing := s.Close(); closing != nil {
		return fmt.Errorf("%w (and: %w)", err, closing)
	}
	return err
}

func newStore(c config, o Options) *Store {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		config: c, log: log.With("store", "hdfs"), metrics: newMetrics(), nodes: newSuspects(), readOnly: o.ReadOnly,
		client: fmt.Sprintf("talos-%016x", rand.Uint64()),
	}
	if s.step = o.AtStep; s.step == nil {
		s.step = func(Step) {}
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.names = namenode.New(namenode.Config{Addresses: c.namenodes, User: c.user, Logger: s.log})
	s.lease = namenode.NewLease(s.names, s.client, s.log)
	s.reads = datanode.NewReads(datanode.ReadConfig{
		ClientName: s.client, User: c.user, UseHostname: c.useHostname, OnFailover: s.failover,
	})
	s.leftovers.all = map[string]leftover{}
	s.open = newOpenSegments(c.openSegments, s.metrics)
	s.upkeep = &upkeep{store: s, first: cmp.Or(o.ProbePause, probeFirst), probe: s.probeAll, knock: s.knockAll}
	return s
}

// Close ends what the store does behind its callers' backs and closes its
// connections. Appenders must have been sealed or abandoned.
func (s *Store) Close() error {
	s.stop()
	s.work.Wait()
	s.lease.Close()
	s.reads.Close()
	return s.names.Close()
}

// Traits says that bytes reach every replica in order, and that a file has one
// block. A DataNode has a checksum for each chunk, and writes that and the bytes
// anew, one after the other, when something is added to a chunk. If it dies in
// between, it takes the chunk off its replica when it is started again. Should all
// DataNodes have been started again, the shortest replica is what a recovery leaves.
func (s *Store) Traits() storage.Traits {
	return storage.Traits{IdleClose: idleClose, SegmentBytes: s.blockBytes, OrderedTail: true, Chunk: datanode.ChunkBytes}
}

func (s *Store) path(id storage.ID) string   { return path.Join(s.root, id.Folder, id.Name) }
func (s *Store) folder(folder string) string { return path.Join(s.root, folder) }

// check is what every call does first.
func check(ctx context.Context, invalid error) error {
	if invalid != nil {
		return invalid
	}
	return context.Cause(ctx)
}

// List returns what a folder holds. A segment counts as sealed once it is closed
// and no recovery of it is unfinished. With a pair of NameNodes it writes, to prove
// that the one that answers is active; a store for looking may show what was.
func (s *Store) List(ctx context.Context, folder string) (storage.Listing, error) {
	if err := check(ctx, storage.ValidateFolder(folder)); err != nil {
		return storage.Listing{}, err
	}
	var entries []*wire.FileStatus
	list := func(ctx context.Context) (err error) {
		entries, err = s.names.List(ctx, s.folder(folder), true)
		return err
	}
	var err error
	if s.readOnly {
		err = list(ctx)
	} else {
		err = s.names.FromActive(ctx, s.root, list)
	}
	if err != nil {
		return storage.Listing{}, s.explain("list", s.folder(folder), err)
	}
	return listing(entries), nil
}

// Open opens a segment for reading.
func (s *Store) Open(ctx context.Context, id storage.ID) (storage.Reader, error) {
	if err := check(ctx, id.Validate()); err != nil {
		return nil, err
	}
	r, err := openReader(ctx, s, s.path(id))
	if err != nil {
		return nil, s.explain("open", s.path(id), err)
	}
	return r, nil
}

// Remove removes a segment, and its folder if that was the last thing in it.
func (s *Store) Remove(ctx context.Context, id storage.ID) error {
	if err := check(ctx, id.Validate()); err != nil {
		return err
	}
	// A path below a file is none, too.
	if _, err := s.names.Delete(ctx, s.path(id), false); err != nil && !errors.Is(err, namenode.ErrNotFound) {
		return s.explain("remove", s.path(id), err)
	}
	s.removeEmpty(ctx, id.Folder)
	return nil
}

// removeEmpty removes a folder and those above it as far as they are empty. It
// is tidiness only: what can't be removed stays.
func (s *Store) removeEmpty(ctx context.Context, folder string) {
	for folder != "" && folder != "." {
		if gone, err := s.names.Delete(ctx, s.folder(folder), false); err != nil || !gone {
			return
		}
		folder = path.Dir(folder)
	}
}

var _ storage.Store = (*Store)(nil)

// userError returns an error of the table with a cause.
func userError(kind talos.Kind, op, subject, detail string, cause error) error {
	return &talos.Error{Kind: kind, Op: "hdfs: " + op, Subject: subject, Detail: detail, Cause: cause}
}
