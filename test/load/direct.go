package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	// callTimeout bounds one call of a direct client: whoever is silent for longer
	// is given up, and another node asked.
	callTimeout = 3 * time.Second
	// minReconnect and maxReconnect bound the pause before a connection is tried
	// again.
	minReconnect = 20 * time.Millisecond
	maxReconnect = 500 * time.Millisecond
)

// direct speaks the protocol without the SDK, so that nothing is sent again: it
// goes to the nodes by their addresses, and follows NotOwner. It belongs to one
// goroutine.
type direct struct {
	topic     talos.Topic
	addresses []string
	conns     map[string]*grpc.ClientConn
	// target is where each partition seems to be, turn whom to ask next otherwise,
	// and epoch the highest that was seen.
	target map[int32]string
	turn   int
	epoch  map[int32]talos.Epoch
}

// openDirect learns the topic. addresses are host:port, with commas between them.
func openDirect(ctx context.Context, addresses string, topic talos.TopicName) (d *direct, err error) {
	client, err := sdk.Dial(addresses)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	topics, err := client.Topics(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range topics {
		if t.Name == topic {
			return &direct{
				topic: t, addresses: strings.Split(addresses, ","), conns: map[string]*grpc.ClientConn{},
				target: map[int32]string{}, epoch: map[int32]talos.Epoch{},
			}, nil
		}
	}
	return nil, fmt.Errorf("there is no topic %s", topic)
}

func (d *direct) close() error {
	var errs []error
	for _, conn := range d.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// at returns the service of the node where a partition seems to be.
func (d *direct) at(partition int32) (talosv1.LogClient, error) {
	address := d.target[partition]
	if address == "" {
		address = d.addresses[d.turn%len(d.addresses)]
		d.target[partition] = address
	}
	conn := d.conns[address]
	if conn == nil {
		var err error
		conn, err = grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: minReconnect, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxReconnect},
				MinConnectTimeout: callTimeout,
			}))
		if err != nil {
			return nil, err
		}
		d.conns[address] = conn
	}
	return talosv1.NewLogClient(conn), nil
}

// elsewhere asks another node from now on: the one that the answer names, if it
// names one.
func (d *direct) elsewhere(partition int32, told *talosv1.Error) {
	d.turn++
	d.target[partition] = told.GetOwnerAddress()
	d.saw(partition, told.GetOwnerEpoch())
}

func (d *direct) saw(partition, epoch int32) {
	d.epoch[partition] = max(d.epoch[partition], talos.Epoch(epoch))
}

// produce sends one batch, once. What came of it is unknown if err is not nil.
func (d *direct) produce(ctx context.Context, partition int32, batch []byte) (*talosv1.ProduceResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout) // ends the stream, too
	defer cancel()
	log, err := d.at(partition)
	if err != nil {
		return nil, err
	}
	answer, err := produceOnce(ctx, log, &talosv1.ProduceRequest{
		Id: 1, TopicId: d.topic.ID[:], Partition: partition, Epoch: int32(d.epoch[partition]), Batch: batch,
	})
	if err != nil {
		d.elsewhere(partition, nil)
		return nil, err
	}
	if told := answer.GetError(); told != nil {
		d.elsewhere(partition, told)
	}
	d.saw(partition, answer.GetAppended().GetEpoch())
	return answer, nil
}

func produceOnce(ctx context.Context, log talosv1.LogClient, request *talosv1.ProduceRequest) (*talosv1.ProduceResponse, error) {
	stream, err := log.Produce(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(request); err != nil {
		return nil, err
	}
	return stream.Recv()
}

// offsets asks what can be read of a partition; nil if nobody could be asked now.
func (d *direct) offsets(ctx context.Context, partition int32) *talosv1.ListedOffsets {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	log, err := d.at(partition)
	if err != nil {
		return nil
	}
	answer, err := log.ListOffsets(ctx, &talosv1.ListOffsetsRequest{Partitions: []*talosv1.ListOffsetsPartition{
		{TopicId: d.topic.ID[:], Partition: partition, Epoch: int32(d.epoch[partition])},
	}})
	if err != nil || len(answer.GetPartitions()) != 1 {
		d.elsewhere(partition, nil)
		return nil
	}
	listed := answer.GetPartitions()[0]
	if told := listed.GetError(); told != nil {
		d.elsewhere(partition, told)
		return nil
	}
	d.saw(partition, listed.GetEpoch())
	return listed
}
