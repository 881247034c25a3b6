package hdfs

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/datanode"
	"github.com/talos-log/talos/hdfs/internal/namenode"
	"github.com/talos-log/talos/hdfs/internal/wire"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// Create makes a segment. It returns only when a connection is open to every
// DataNode of its block: before that, a recovery would close the file without
// reaching the writer, whose connection the DataNodes would accept afterwards.
func (s *Store) Create(ctx context.Context, id storage.ID, head []byte, d talos.Durability) (storage.Appender, error) {
	if err := check(ctx, id.Validate()); err != nil {
		return nil, err
	}
	s.lease.Hold()
	a, err := s.create(ctx, s.path(id), head, d)
	if err != nil {
		s.lease.Release()
		return nil, s.explain("create", s.path(id), err)
	}
	s.metrics.creates.Inc()
	return a, nil
}

func (s *Store) create(ctx context.Context, path string, head []byte, d talos.Durability) (*appender, error) {
	f, err := s.createFile(ctx, path)
	if err != nil {
		return nil, err
	}
	s.step(FileCreated)
	var created atomic.Pointer[appender]
	durable := make(chan error, 1)
	p, err := s.place(ctx, placing{
		file: f, leaveOut: s.nodes.list(), step: s.step,
		setup: datanode.Setup{Reserve: reserveBytes, Head: head, HeadDone: func(err error) { durable <- err }},
		slow: func(node *wire.DatanodeInfo, waited time.Duration) {
			if a := created.Load(); a != nil {
				a.slow(node, waited)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	s.step(Connected)
	if err := s.begin(ctx, f, len(head), durable); err != nil {
		p.writer.Abandon()
		s.blame(p.writer)
		return nil, err
	}
	a := &appender{store: s, file: f, located: p.block, writer: p.writer, sync: d == talos.Sync}
	n := len(p.block.GetLocations())
	a.ticket = s.open.enter(n < s.replication)
	if n < s.replication {
		s.log.Warn("segment has fewer replicas than wanted", "segment", path, "replicas", n, "wanted", s.replication)
		s.upkeep.watch()
	}
	created.Store(a)
	return a, nil
}

func (s *Store) createFile(ctx context.Context, path string) (file, error) {
	status, err := s.names.Create(ctx, &wire.CreateRequest{
		Src: &path, ClientName: &s.client,
		Masked: &wire.Permission{Perm: proto.Uint32(modeOfFiles | unsyncedMark)},
		// An erasure coding policy of a folder must not apply: its blocks are not ours.
		CreateFlag:   proto.Uint32(uint32(wire.CreateFlag_CREATE | wire.CreateFlag_SHOULD_REPLICATE)),
		CreateParent: proto.Bool(true),
		Replication:  proto.Uint32(uint32(s.replication)), BlockSize: proto.Uint64(uint64(s.blockBytes)),
	})
	if err != nil {
		return file{}, err
	}
	if !marked(status) {
		return file{}, userError(talos.InvalidConfig, "create", path,
			"the NameNode does not keep a file's sticky bit, by which Talos knows what is not synced yet", nil)
	}
	return file{path: path, holder: s.client, id: status.GetFileId()}, nil
}

// begin tells the NameNode of the head, and waits until that is durable. Without
// that a NameNode that restarts before the DataNodes reported the block drops it in a
// recovery; a length that it was told too early does no harm, for a recovery asks
// the DataNodes.
func (s *Store) begin(ctx context.Context, f file, length int, durable <-chan error) error {
	told := s.names.Fsync(ctx, &wire.FsyncRequest{
		Src: &f.path, Client: &f.holder, FileId: &f.id, LastBlockLength: proto.Int64(int64(length)),
	})
	select {
	case err := <-durable:
		if err == nil {
			s.step(HeadWritten)
		}
		return errors.Join(err, told)
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), told)
	}
}

// blame suspects the DataNodes that broke a writer.
func (s *Store) blame(w *datanode.Writer) {
	for _, node := range w.Culprits() {
		s.suspect(node, w.Err())
	}
}

// exists tells whether a create failed because the name is taken.
func exists(err error) bool {
	return errors.Is(err, namenode.ErrExists) || errors.Is(err, namenode.ErrBeingCreated)
}
