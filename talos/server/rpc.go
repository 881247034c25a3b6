package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/talos-log/talos/internal/codec"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
)

// The flow-control windows. gRPC's default of 64 KiB allows less than one batch
// in flight per round trip. A stream's window takes one batch of the default
// size; a connection's takes those of a few streams, and is what a client may
// make the node hold before anything of it was admitted. Fixed windows also
// switch off gRPC's bandwidth estimator, which costs a ping for every burst.
const (
	streamWindow     = 1 << 20
	connectionWindow = 4 << 20
)

// The keepalive of connections: clients that vanished without a word are noticed
// after pingAfter + pingTimeout; clients may ping every minClientPing.
const (
	pingAfter     = 30 * time.Second
	pingTimeout   = 10 * time.Second
	minClientPing = 5 * time.Second
)

// serveRPC serves until stop is called; an end before that goes to fail.
func (n *Node) serveRPC(l net.Listener, fail func(error)) (stop func()) {
	s := n.newRPCServer()
	served := make(chan struct{})
	go func() {
		defer close(served)
		limited := limitConnections(l, n.cfg.Capacity, n.connectionAnswerBytes(), n.refuseConnection)
		if err := s.Serve(limited); err != nil {
			fail(fmt.Errorf("serve RPC: %w", err))
		}
	}()
	return func() {
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			s.GracefulStop()
		}()
		timer := time.NewTimer(n.callsTime())
		defer timer.Stop()
		select {
		case <-drained:
		case <-timer.C:
			s.Stop()
			<-drained
		}
		<-served
	}
}

func (n *Node) newRPCServer() *grpc.Server {
	capacity := n.cfg.Capacity
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(n.cfg.Limits.RequestBytes()),
		grpc.MaxSendMsgSize(n.cfg.Limits.ResponseBytes()),
		grpc.MaxConcurrentStreams(uint32(capacity.StreamsPerConnection)),
		grpc.MaxHeaderListSize(uint32(capacity.HeaderBytes)),
		grpc.ConnectionTimeout(capacity.Handshake),
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connectionWindow),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minClientPing, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
		grpc.UnaryInterceptor(n.interceptUnary),
		grpc.StreamInterceptor(n.interceptStream),
		grpc.InTapHandle(n.admit),
		grpc.ForceServerCodecV2(answerCodec{codec.New()}),
		experimental.BufferPool(codec.Pool()),
	}
	if n.cfg.TLS != nil {
		options = append(options, grpc.Creds(explaining{credentials.NewTLS(n.cfg.TLS)}))
	}
	s := grpc.NewServer(options...)
	talosv1.RegisterLogServer(s, &logService{node: n})
	talosv1.RegisterAdminServer(s, &adminService{node: n})
	talosv1.RegisterClusterServer(s, &clusterService{node: n, planning: make(chan struct{}, 1)})
	talosv1.RegisterGroupsServer(s, &groupsService{node: n})
	grpc_health_v1.RegisterHealthServer(s, n.grpcHealth)
	reflection.Register(s)
	n.streaming = make(map[string]bool)
	for service, info := range s.GetServiceInfo() {
		for _, m := range info.Methods {
			n.streaming["/"+service+"/"+m.Name] = m.IsClientStream || m.IsServerStream
		}
	}
	return s
}

// LeastAnswerBytes is what Capacity.AnswerBytes and ConnectionAnswerBytes must have
// room for: any one answer. Lower values are raised to it.
func LeastAnswerBytes(l talos.Limits) int { return max(l.ResponseBytes(), describeBytes) }

func (n *Node) connectionAnswerBytes() int64 {
	return int64(max(n.cfg.Capacity.ConnectionAnswerBytes, LeastAnswerBytes(n.cfg.Limits)))
}

// refuseConnection tells of a connection beyond a limit.
func (n *Node) refuseConnection(client net.Addr, limit string) {
	n.metrics.refusedConnections.Inc()
	n.cfg.Logger.Debug("connection refused", "client", client.String(), "limit", limit)
}

// publishHealth tells the gRPC health service whether the node serves.
func (n *Node) publishHealth(serving bool) {
	status := grpc_health_v1.HealthCheckResponse_NOT_SERVING
	if serving {
		status = grpc_health_v1.HealthCheckResponse_SERVING
	}
	for _, service := range []string{
		"", talosv1.Log_ServiceDesc.ServiceName, talosv1.Admin_ServiceDesc.ServiceName, talosv1.Cluster_ServiceDesc.ServiceName,
		talosv1.Groups_ServiceDesc.ServiceName,
	} {
		n.grpcHealth.SetServingStatus(service, status)
	}
}

func (n *Node) interceptUnary(
	ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (answer any, err error) {
	c, admitted := callOf(ctx)
	if !admitted {
		return nil, n.outcome(ctx, info.FullMethod, errNotAdmitted)
	}
	c.received()
	err = n.guard(info.FullMethod, func() error {
		if err := n.admitClient(ctx, info.FullMethod); err != nil {
			return err
		}
		if err := c.memory.grow(ctx, answerBytes(info.FullMethod)); err != nil {
			return err
		}
		answer, err = handler(ctx, req)
		return err
	})
	if err == nil {
		answer, err = n.hold(ctx, c, answer)
	}
	if err != nil {
		c.memory.release()
		return nil, n.outcome(ctx, info.FullMethod, err)
	}
	return answer, nil
}

var errNotAdmitted = &talos.Error{Kind: talos.Internal, Op: "server.interceptUnary", Detail: "a call that was not admitted"}

// answerBytes is what a call reserves before it is handled. Fetch does so itself,
// as soon as it has something to read.
func answerBytes(method string) int {
	switch method {
	case talosv1.Log_Fetch_FullMethodName:
		return 0
	case talosv1.Admin_ListTopics_FullMethodName, talosv1.Admin_Metadata_FullMethodName,
		talosv1.Cluster_DescribeCluster_FullMethodName, talosv1.Cluster_DescribePlacement_FullMethodName, talosv1.Cluster_PlanMoves_FullMethodName,
		talosv1.Groups_FetchOffsets_FullMethodName, talosv1.Groups_ListGroups_FullMethodName, talosv1.Groups_DescribeGroup_FullMethodName:
		return describeBytes
	case talosv1.Log_ListOffsets_FullMethodName:
		return offsetsBytes
	default:
		return plainBytes
	}
}

func (n *Node) interceptStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return n.outcome(stream.Context(), info.FullMethod, n.guard(info.FullMethod, func() error {
		if err := n.admitClient(stream.Context(), info.FullMethod); err != nil {
			return err
		}
		return handler(srv, stream)
	}))
}

// guard makes an error of a panic in f: a fault in one call, or in one piece of
// background work, must not end all the others.
func (n *Node) guard(op string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			n.metrics.panics.Inc()
			n.cfg.Logger.Error("panic", "in", op, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = &talos.Error{Kind: talos.Internal, Op: op, Cause: errPanic}
		}
	}()
	return f()
}

var errPanic = errors.New("it panicked")

// outcome makes a call's error what clients see, counts it, and logs what is a
// fault of ours.
func (n *Node) outcome(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	request := requestID(ctx)
	n.failed(op, request, err)
	return toStatus(request, err)
}

// failed counts an error that goes out to a client, and logs it: for all to see if
// it is a fault of ours. A panic was logged where it was caught.
func (n *Node) failed(op, request string, err error) {
	n.metrics.failed(err)
	n.health.observe(err)
	if talos.KindOf(err) == talos.Internal && !isStatus(err) && !errors.Is(err, errPanic) {
		n.cfg.Logger.Error("internal error", "call", op, "request", request, "error", err)
		return
	}
	n.cfg.Logger.Debug("error answered", "call", op, "request", request, "error", err)
}
