package hdfs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/datanode"
	"github.com/talos-log/talos/hdfs/internal/namenode"
	"github.com/talos-log/talos/hdfs/internal/wire"
	"github.com/talos-log/talos/talos"
)

const (
	// modeOfFolders is the mode of the root; folders below it follow.
	modeOfFolders = 0o755
	// tidyTimeout bounds the removal of a probe's file.
	tidyTimeout = 5 * time.Second
)

// prove makes the root and shows that segments can be written below it now.
func (s *Store) prove(ctx context.Context) error {
	defaults, err := s.names.GetServerDefaults(ctx)
	if err != nil {
		return s.explain("connect", s.root, err)
	}
	if defaults.GetEncryptDataTransfer() {
		return userError(talos.InvalidConfig, "connect", s.root,
			"the cluster encrypts data transfer (dfs.encrypt.data.transfer), which Talos does not offer yet", nil)
	}
	made, err := s.names.Mkdirs(ctx, &wire.MkdirsRequest{
		Src: &s.root, Masked: &wire.Permission{Perm: proto.Uint32(modeOfFolders)}, CreateParent: proto.Bool(true),
	})
	if err == nil && !made {
		err = errors.New("the NameNode did not make the folder and did not say why")
	}
	if err != nil {
		return s.explain("make the folder", s.root, err)
	}
	if err := s.probe(ctx, s.minReplicas); err != nil {
		return s.explain("write a probe below", s.root, err)
	}
	return nil
}

// find shows that the root is there.
func (s *Store) find(ctx context.Context) error {
	_, err := s.names.GetFileInfo(ctx, s.root)
	if errors.Is(err, namenode.ErrNotFound) {
		return userError(talos.StoreUnavailable, "look", s.root, "there is no such folder: check the path, as the node's --store has it", err)
	}
	if err != nil {
		return s.explain("look", s.root, err)
	}
	return nil
}

// probe makes a file, connects to the DataNodes of its block, and removes it
// again. It fails unless that many can be reached. DataNodes that answer are not
// suspected anymore.
func (s *Store) probe(ctx context.Context, replicas int) error {
	f, err := s.createFile(ctx, path.Join(s.root, fmt.Sprintf(".probe-%016x", rand.Uint64())))
	if err != nil {
		return err
	}
	defer s.tidy(f)
	p, err := s.place(ctx, placing{file: f, leaveOut: s.nodes.listSlow(), setup: datanode.Setup{Reserve: reserveBytes}, step: func(Step) {}})
	if err != nil {
		return err
	}
	p.writer.Abandon()
	nodes := p.block.GetLocations()
	s.nodes.trust(nodes)
	if len(nodes) < replicas {
		return tooFewReplicas(f.path, s.room(tooFew(len(nodes), replicas)), nil)
	}
	return nil
}

// tidy removes the file of a probe, also if the probe's time was up.
func (s *Store) tidy(f file) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), tidyTimeout)
	defer cancel()
	if _, err := s.names.Delete(ctx, f.path, false); err != nil {
		s.log.Warn("the file of a probe was not removed", "path", f.path, "error", err)
	}
}
