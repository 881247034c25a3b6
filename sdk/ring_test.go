package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/test/bufconn"
)

// ring is a model of a cluster: several members that share one node's partitions,
// each of which one member owns. Members refuse what they don't own.
type ring struct {
	shared *node

	mu      sync.Mutex // guards all below
	members []*member
	owners  []int // by partition: the number of a member; -1 is nobody
	epochs  []int32
	// silent owners are not named in NotOwner.
	silent bool
	// Members that quarrel name each other.
	quarrel bool
	// told is what metadata tells of the owners, if it is behind.
	told     []int
	refusals int
	dials    map[string]int
}

// member answers for one node of a ring, whose address is a:1, b:1, ...
type member struct {
	*node
	ring    *ring
	number  int
	address string

	listener *bufconn.Listener
	stop     func()
	alive    bool
}

func newRing(members int, partitions int32) *ring {
	r := &ring{shared: newNode(partitions), dials: make(map[string]int)}
	for i := range members {
		r.members = append(r.members, &member{node: r.shared, ring: r, number: i, address: fmt.Sprintf("%c:1", 'a'+i)})
	}
	for i := range partitions {
		r.owners = append(r.owners, int(i)%members)
		r.epochs = append(r.epochs, 3)
	}
	return r
}

// inRing runs a test in virtual time with a client of the ring that was dialed with
// some of its addresses.
func inRing(t *testing.T, r *ring, addresses string, test func(t *testing.T, client *sdk.Client), opts ...sdk.Option) {
	synctest.Test(t, func(t *testing.T) {
		r.shared.changed = make(chan struct{})
		for _, m := range r.members {
			m.start()
		}
		client, err := sdk.Dial(addresses, append(opts, sdk.WithDialer(r.dial))...)
		require.NoError(t, err)
		test(t, client)
		require.NoError(t, client.Close())
		for _, m := range r.members {
			m.kill()
		}
	})
}

func (m *member) start() {
	s := grpc.NewServer(
		grpc.MaxRecvMsgSize(m.limits.RequestBytes()), grpc.WaitForHandlers(true),
		// As the real node: it takes a ping every 5 s.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	talosv1.RegisterLogServer(s, m)
	talosv1.RegisterAdminServer(s, m)
	l := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	m.ring.mu.Lock()
	defer m.ring.mu.Unlock()
	m.listener, m.alive = l, true
	m.stop = func() { s.Stop(); <-served }
}

// kill takes a member away, as a crash would.
func (m *member) kill() {
	m.ring.mu.Lock()
	alive := m.alive
	m.alive = false
	m.ring.mu.Unlock()
	if alive {
		m.stop()
	}
}

func (r *ring) dial(ctx context.Context, address string) (net.Conn, error) {
	r.mu.Lock()
	r.dials[address]++
	var to *member
	for _, m := range r.members {
		if m.address == address && m.alive {
			to = m
		}
	}
	r.mu.Unlock()
	if to == nil {
		return nil, fmt.Errorf("nobody is at %s", address)
	}
	return to.listener.DialContext(ctx)
}

func (r *ring) setQuarrel(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.quarrel = on
}

// move gives a partition to another member, under the next epoch.
func (r *ring) move(partition int32, to int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners[partition] = to
	r.epochs[partition]++
}

// grow adds a partition.
func (r *ring) grow(owner int) {
	r.shared.mu.Lock()
	defer r.shared.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners, r.epochs = append(r.owners, owner), append(r.epochs, 3)
	r.shared.partitions = append(r.shared.partitions, newPartition())
	grown := &talosv1.Topic{Name: r.shared.topic.GetName(), Id: r.shared.topic.GetId(), Partitions: int32(len(r.owners))}
	r.shared.topic = grown
}

// refuses returns NotOwner unless the member owns the partition, and the client has
// seen no later owner.
func (m *member) refuses(partition, epoch int32) error {
	r := m.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	owner := r.owners[partition]
	if r.quarrel {
		r.refusals++
		other := r.members[(m.number+1)%len(r.members)].address
		return &talos.Error{Kind: talos.NotOwner, Owner: &talos.Owner{Address: other}}
	}
	if owner == m.number && epoch <= r.epochs[partition] {
		return nil
	}
	r.refusals++
	e := &talos.Error{Kind: talos.NotOwner, Owner: &talos.Owner{Epoch: talos.Epoch(r.epochs[partition])}}
	if owner >= 0 && !r.silent {
		e.Owner.Address = r.members[owner].address
	}
	return e
}

func (m *member) epoch(partition int32) int32 {
	m.ring.mu.Lock()
	defer m.ring.mu.Unlock()
	return m.ring.epochs[partition]
}

func (m *member) Version(ctx context.Context, r *talosv1.VersionRequest) (*talosv1.VersionResponse, error) {
	v, err := m.node.Version(ctx, r)
	if err == nil {
		v.NodeId = m.address
	}
	return v, err
}

func (m *member) Metadata(ctx context.Context, request *talosv1.MetadataRequest) (*talosv1.MetadataResponse, error) {
	answer, err := m.node.Metadata(ctx, request)
	if err != nil {
		return nil, err
	}
	r := m.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	owners := r.owners
	if r.told != nil {
		owners = r.told
	}
	answer.Nodes = nil
	for _, n := range r.members {
		answer.Nodes = append(answer.Nodes, &talosv1.Node{Id: n.address, Address: n.address})
	}
	for i, p := range answer.GetTopics()[0].GetPartitions() {
		p.Owner = ""
		if owners[i] >= 0 {
			p.Owner = r.members[owners[i]].address
		}
	}
	return answer, nil
}

func (m *member) Produce(stream grpc.BidiStreamingServer[talosv1.ProduceRequest, talosv1.ProduceResponse]) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var answer *talosv1.ProduceResponse
		if refused := m.refuses(request.GetPartition(), request.GetEpoch()); refused != nil {
			answer = refuse(refused)
		} else if answer, err = m.take(request); err != nil {
			return err
		}
		if a := answer.GetAppended(); a != nil {
			a.Epoch = m.epoch(request.GetPartition())
		}
		answer.Id = request.GetId()
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

func (m *member) Fetch(ctx context.Context, request *talosv1.FetchRequest) (*talosv1.FetchResponse, error) {
	refused := &talosv1.FetchResponse{}
	some := false
	for _, p := range request.GetPartitions() {
		f := &talosv1.FetchedPartition{TopicId: p.GetTopicId(), Partition: p.GetPartition()}
		if err := m.refuses(p.GetPartition(), p.GetEpoch()); err != nil {
			f.Error, some = wire(err), true
		}
		refused.Partitions = append(refused.Partitions, f)
	}
	if some {
		return refused, nil
	}
	answer, err := m.node.Fetch(ctx, request)
	for _, f := range answer.GetPartitions() {
		f.Epoch = m.epoch(f.GetPartition())
	}
	return answer, err
}

func (m *member) ListOffsets(ctx context.Context, request *talosv1.ListOffsetsRequest) (*talosv1.ListOffsetsResponse, error) {
	answer, err := m.node.ListOffsets(ctx, request)
	for i, l := range answer.GetPartitions() {
		if refused := m.refuses(l.GetPartition(), 0); refused != nil {
			answer.Partitions[i] = &talosv1.ListedOffsets{Partition: l.GetPartition(), Error: wire(refused)}
		}
	}
	return answer, err
}
