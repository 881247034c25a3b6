package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/talos-log/talos/internal/loadgen"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// roundTrip is a request and its answer over TCP on this machine: the messages of
// Talos, to a server in this process that does nothing with them.
type roundTrip struct {
	cfg     Config
	value   []byte
	fill    *loadgen.Payload
	log     talosv1.LogClient
	stream  grpc.BidiStreamingClient[talosv1.ProduceRequest, talosv1.ProduceResponse]
	closers closers
}

func openRoundTrip(cfg Config, fill *loadgen.Payload) (*roundTrip, error) {
	r := &roundTrip{cfg: cfg, value: make([]byte, cfg.Size), fill: fill}
	if err := r.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("the yardstick %s: %w", r.name(), err), r.close())
	}
	return r, nil
}

func (r *roundTrip) open() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	talosv1.RegisterLogServer(server, &echo{batches: make([]byte, pollBytes)})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	r.closers.add(func() error {
		server.Stop()
		return <-served
	})
	conn, err := grpc.NewClient(
		listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(talos.DefaultLimits().ResponseBytes())),
	)
	if err != nil {
		return err
	}
	r.closers.add(conn.Close)
	r.log = talosv1.NewLogClient(conn)
	ctx, cancel := context.WithCancel(context.Background())
	r.closers.add(func() error { cancel(); return nil })
	r.stream, err = r.log.Produce(ctx)
	if err != nil {
		return err
	}
	// The first one opens the connection.
	_, err = r.do(ctx, 0)
	return err
}

func (r *roundTrip) name() string {
	if r.cfg.Workload == CatchUp {
		return fetchName
	}
	return roundTripName
}

func (r *roundTrip) begin() error { return nil }

func (r *roundTrip) do(ctx context.Context, n int64) (int64, error) {
	if r.cfg.Workload == CatchUp {
		answer, err := r.log.Fetch(ctx, &talosv1.FetchRequest{MaxBytes: pollBytes})
		if err != nil {
			return 0, err
		}
		return int64(len(answer.GetPartitions()[0].GetBatches())), nil
	}
	r.fill.Fill(r.value, n)
	if err := r.stream.Send(&talosv1.ProduceRequest{Id: uint64(n), Batch: r.value}); err != nil {
		return 0, err
	}
	_, err := r.stream.Recv()
	return int64(len(r.value)), err
}

func (r *roundTrip) end() error { return nil }

func (r *roundTrip) close() error { return r.closers.close() }

// echo answers at once.
type echo struct {
	talosv1.UnimplementedLogServer
	batches []byte
}

// Produce implements the service.
func (e *echo) Produce(stream grpc.BidiStreamingServer[talosv1.ProduceRequest, talosv1.ProduceResponse]) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		answer := &talosv1.ProduceResponse{
			Id: request.GetId(), Result: &talosv1.ProduceResponse_Appended{Appended: &talosv1.Appended{}},
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// Fetch implements the service.
func (e *echo) Fetch(context.Context, *talosv1.FetchRequest) (*talosv1.FetchResponse, error) {
	return &talosv1.FetchResponse{Partitions: []*talosv1.FetchedPartition{{Batches: e.batches}}}, nil
}
