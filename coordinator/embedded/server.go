// Package embedded runs etcd within the process, for one node alone: nothing
// but the process itself has to be started.
//
// It is a cluster of one member that never grows: etcd listens for clients on a
// loopback port of its own, new at every start, and for no peers at all.
//
//	<dir>/lock      locked while a process uses the folder; holds its pid
//	<dir>/member/   etcd's own
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/talos-log/talos/talos"
)

const (
	// quotaBytes bounds etcd's database.
	quotaBytes = 1 << 30
	// keepRevisions is how much history compaction leaves, for watches that lag.
	keepRevisions = "1000"
	// startTimeout bounds a start whose caller set no deadline.
	startTimeout = time.Minute
)

// Server is a running etcd.
type Server struct {
	etcd *embed.Etcd
	lock folderLock

	once     sync.Once // the work of Close
	closeErr error
}

// Start runs etcd over dir, which is made (mode 0700) if there is none, and
// returns when it serves. It returns StoreInUse if another process, or another
// Server of this one, uses dir. A folder left behind by SIGKILL is fine.
func Start(ctx context.Context, dir string, logger *slog.Logger) (*Server, error) {
	const op = "embedded.Start"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &talos.Error{Kind: talos.StoreUnavailable, Op: op, Subject: dir, Cause: err}
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	etcd, err := start(ctx, dir)
	if err != nil {
		return nil, &talos.Error{
			Kind: talos.MetaUnavailable, Op: op, Subject: dir,
			Detail: "the embedded etcd did not start", Cause: errors.Join(err, lock.release()),
		}
	}
	s := &Server{etcd: etcd, lock: lock}
	logger.Info("embedded etcd serves", "folder", dir, "endpoint", s.Endpoint(), "took", time.Since(started))
	return s, nil
}

// Endpoint is where clients reach it, as host:port.
func (s *Server) Endpoint() string { return s.etcd.Clients[0].Addr().String() }

// Close stops etcd, waits until nothing of it runs any more, and unlocks the
// folder. It may be called again.
func (s *Server) Close() error {
	s.once.Do(func() {
		s.etcd.Close()
		<-s.etcd.Server.StopNotify()
		if err := s.lock.release(); err != nil {
			s.closeErr = fmt.Errorf("embedded.Close: %w", err)
		}
	})
	return s.closeErr
}

func start(ctx context.Context, dir string) (*embed.Etcd, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	etcd, err := embed.StartEtcd(config(dir))
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err = <-etcd.Err():
	case <-etcd.Server.StopNotify():
		err = fmt.Errorf("etcd stopped while it started")
	case <-ctx.Done():
		err = fmt.Errorf("it was not ready in time: %w", ctx.Err())
	}
	etcd.Close()
	<-etcd.Server.StopNotify()
	return nil, err
}

func config(dir string) *embed.Config {
	loopback := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg := embed.NewConfig()
	cfg.Name = "talos"
	cfg.Dir = dir
	cfg.ListenClientUrls = loopback
	cfg.AdvertiseClientUrls = loopback
	// A member must have a peer URL, which is recorded at the first start. Nobody
	// ever listens there, so it can stay the same for ever.
	cfg.ListenPeerUrls = nil
	cfg.AdvertisePeerUrls = loopback
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	// A member that is alone need not wait for others' votes: it starts in a third of
	// a second. Each tick wakes the process up: shorter ones are most of
	// what an idle node costs.
	cfg.TickMs = 25
	cfg.ElectionMs = 250
	cfg.AutoCompactionMode = embed.CompactorModeRevision
	cfg.AutoCompactionRetention = keepRevisions
	cfg.QuotaBackendBytes = quotaBytes
	cfg.EnableGRPCGateway = false
	// Anything less is noise (Close logs errors); what ends the process is said.
	cfg.LogLevel = "fatal"
	cfg.LogOutputs = []string{embed.StdErrLogOutput}
	return cfg
}
