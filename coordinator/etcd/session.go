package etcd

import (
	"context"
	"errors"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/talos-log/talos/coordinator"
)

// session is a lease that one goroutine keeps alive.
type session struct {
	kv     *KV
	id     clientv3.LeaseID
	ttl    time.Duration // as granted
	cancel context.CancelFunc
	done   chan struct{} // closed when keep has returned
}

// OpenSession implements coordinator.KV.
func (kv *KV) OpenSession(ctx context.Context) (coordinator.Session, error) {
	const op = "etcd.OpenSession"
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	sent := kv.now()
	granted, err := kv.client.Grant(call, int64(kv.ttl/time.Second))
	if err != nil {
		return nil, wrap(ctx, op, err)
	}
	s := &session{kv: kv, id: granted.ID, ttl: time.Duration(granted.TTL) * time.Second, done: make(chan struct{})}
	keepCtx, stop := context.WithCancel(kv.ctx)
	s.cancel = stop
	kv.wg.Add(1)
	go func() {
		defer kv.wg.Done()
		defer close(s.done)
		s.keep(keepCtx, sent)
	}()
	return s, nil
}

// ID implements coordinator.Session.
func (s *session) ID() coordinator.SessionID { return coordinator.SessionID(s.id) }

// Done implements coordinator.Session.
func (s *session) Done() <-chan struct{} { return s.done }

// Close implements coordinator.Session.
func (s *session) Close(ctx context.Context) error {
	s.cancel()
	<-s.done
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := s.kv.client.Revoke(call, s.id)
	if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return wrap(ctx, "etcd.Session.Close", err)
	}
	return nil
}

// keep returns when the lease has ended, or 9/10 of its time to live have gone
// by since the last keep-alive that was answered was sent.
func (s *session) keep(ctx context.Context, sent time.Duration) {
	lifetime := s.ttl * 9 / 10
	interval := s.ttl / 3
	for {
		// Not only the interval: after an error the next attempt comes soon.
		if !sleep(ctx, min(interval, sent+lifetime-s.kv.now())) {
			return
		}
		now := s.kv.now()
		left := sent + lifetime - now
		if left <= 0 {
			return
		}
		call, cancel := context.WithTimeout(ctx, left)
		err := s.keepAlive(call)
		cancel()
		switch {
		case err == nil:
			sent = now
			interval = s.ttl / 3
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			return
		default: // shown by Done if it lasts
			interval = s.ttl / 20
		}
	}
}

// keepAlive sends one keep-alive, and waits for a connection if there is none
// (the client's KeepAliveOnce would spin meanwhile).
func (s *session) keepAlive(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx) // ends the stream
	defer cancel()
	stream, err := pb.NewLeaseClient(s.kv.client.ActiveConnection()).LeaseKeepAlive(ctx, grpc.WaitForReady(true))
	if err != nil {
		return rpctypes.Error(err)
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(s.id)}); err != nil {
		return rpctypes.Error(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		return rpctypes.Error(err)
	}
	if resp.TTL <= 0 {
		return rpctypes.ErrLeaseNotFound
	}
	return nil
}

// sleep tells whether it waited d; false if ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
