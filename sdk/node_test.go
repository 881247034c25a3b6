package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/protoadapt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a model of a node, for one topic: idempotent partitions in memory,
// served over gRPC and memory. Tests script what goes wrong.
type node struct {
	talosv1.UnimplementedLogServer
	talosv1.UnimplementedAdminServer
	limits talos.Limits
	groups talosv1.GroupsServer // nil for none

	mu         sync.Mutex // guards all below
	topic      *talosv1.Topic
	partitions []*partition
	arrivals   []arrival
	nextID     int64
	fetches    []*talosv1.FetchRequest
	conns      []net.Conn
	changed    chan struct{} // closed at every append

	// script says what happens to the n-th batch that arrives, from 0 on; nil is
	// nothing particular.
	script func(n int, h batch.Header) fault
	// Errors that calls return instead of an answer, one each.
	listFaults, fetchFaults, initFaults, versionFaults []error
	// What it says it speaks; 0 as a node says that knows no such numbers.
	protocol, oldestProtocol int32
	// timeless nodes don't know offsets for times.
	timeless bool
	// spoil changes batches on their way out.
	spoil func(b []byte)
	// What a partition says instead of its batches or offsets, one each.
	partitionFaults map[int32][]error
}

// partition is the model of one log.
type partition struct {
	start   talos.Offset
	next    talos.Offset
	batches [][]byte
	known   map[int64][]batch.Header // by producer, oldest first
}

// arrival is a batch as the node saw it.
type arrival struct {
	batch.Header
	partition int32
	epoch     int32
	bytes     []byte
}

// fault is what goes wrong with one batch, in this order.
type fault struct {
	hold   <-chan struct{} // the node waits for it, and answers nothing meanwhile
	lose   error           // the stream ends with it, nothing was stored
	cut    bool            // the connection ends at once; the node goes on with what it has
	forget bool            // the partition forgets its producers
	// The partition forgets the producers whose first batch has left the window, so
	// that it was answered: another first batch is taken as that of a new producer.
	forgetOld bool
	err       error // the answer; the batch is not stored
	forge     *talosv1.ProduceResponse
	store     error // it is stored, but this is the answer
	mute      bool  // it is stored, and the stream ends before the answer
}

func newNode(partitions int32) *node {
	n := &node{
		limits:          talos.DefaultLimits(),
		topic:           &talosv1.Topic{Name: "logs", Id: make([]byte, 16), Partitions: partitions},
		partitionFaults: make(map[int32][]error),
	}
	n.topic.Id[0] = 7
	for range partitions {
		n.partitions = append(n.partitions, newPartition())
	}
	return n
}

func newPartition() *partition { return &partition{known: make(map[int64][]batch.Header)} }

// serve starts the node and returns a client of it. The function that it returns
// takes the node away, as a crash would; the cleanup does it otherwise.
func (n *node) serve(t testing.TB) (*sdk.Client, func()) {
	listener := bufconn.Listen(1 << 20)
	stop := n.listen(listener)
	client := n.dial(t, listener.DialContext)
	var once sync.Once
	return client, func() { once.Do(func() { requireNoError(t, client.Close()); stop() }) }
}

func requireNoError(t require.TestingT, err error) { require.NoError(t, err) }

func (n *node) listen(l net.Listener) (stop func()) {
	n.changed = make(chan struct{}) // of the bubble in which it is used
	s := grpc.NewServer(grpc.MaxRecvMsgSize(n.limits.RequestBytes()), grpc.WaitForHandlers(true))
	talosv1.RegisterLogServer(s, n)
	talosv1.RegisterAdminServer(s, n)
	if n.groups != nil {
		talosv1.RegisterGroupsServer(s, n.groups)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	return func() {
		s.Stop()
		<-served
	}
}

func (n *node) dial(t testing.TB, dial func(context.Context) (net.Conn, error)) *sdk.Client {
	client, err := sdk.Dial("node:7070", sdk.WithDialer(func(ctx context.Context, address string) (net.Conn, error) {
		if address != "node:7070" {
			return nil, fmt.Errorf("nobody is at %s", address)
		}
		conn, err := dial(ctx)
		if err == nil {
			n.mu.Lock()
			n.conns = append(n.conns, conn)
			n.mu.Unlock()
		}
		return conn, err
	}))
	require.NoError(t, err)
	return client
}

// each sets a script.
func (n *node) each(script func(i int, h batch.Header) fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.script = script
}

// at makes a script out of the faults of single batches.
func at(faults map[int]fault) func(int, batch.Header) fault {
	return func(i int, _ batch.Header) fault { return faults[i] }
}

func (n *node) Produce(stream grpc.BidiStreamingServer[talosv1.ProduceRequest, talosv1.ProduceResponse]) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		answer, err := n.take(request)
		if err != nil {
			return err
		}
		answer.Id = request.GetId()
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

var errGone = status.Error(codes.Unavailable, "the node went away")

func (n *node) take(request *talosv1.ProduceRequest) (*talosv1.ProduceResponse, error) {
	h, err := batch.Check(request.GetBatch(), n.limits.BatchBytes())
	if err != nil {
		return refuse(err), nil
	}
	f := n.arrive(request, h)
	if f.hold != nil {
		<-f.hold
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.partitions[request.GetPartition()]
	switch {
	case f.lose != nil:
		return nil, f.lose
	case f.forge != nil:
		return f.forge, nil
	case f.err != nil:
		return refuse(f.err), nil
	}
	for id, known := range p.known {
		if f.forget || f.forgetOld && known[0].FirstSequence > 0 {
			delete(p.known, id)
		}
	}
	appended, err := p.append(request.GetBatch(), h)
	if err != nil {
		return refuse(err), nil
	}
	close(n.changed)
	n.changed = make(chan struct{})
	switch {
	case f.mute:
		return nil, errGone
	case f.store != nil:
		return refuse(f.store), nil
	}
	return &talosv1.ProduceResponse{Result: &talosv1.ProduceResponse_Appended{Appended: appended}}, nil
}

// arrive takes note of a batch, and asks the script.
func (n *node) arrive(request *talosv1.ProduceRequest, h batch.Header) fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.arrivals = append(n.arrivals, arrival{
		Header: h, partition: request.GetPartition(), epoch: request.GetEpoch(), bytes: slices.Clone(request.GetBatch()),
	})
	if n.script == nil {
		return fault{}
	}
	f := n.script(len(n.arrivals)-1, h)
	if f.cut {
		n.cutLocked()
	}
	return f
}

// cutLocked ends all connections without a word.
func (n *node) cutLocked() {
	for _, conn := range n.conns {
		_ = conn.Close() // the other side may have closed it
	}
	n.conns = nil
}

// append does what package partition documents.
func (p *partition) append(b []byte, h batch.Header) (*talosv1.Appended, error) {
	appended := &talosv1.Appended{Epoch: 3, AppendTimeMs: noon.UnixMilli()}
	known := p.known[h.ProducerID]
	for _, k := range known {
		if k.FirstSequence == h.FirstSequence && k.LastDelta == h.LastDelta {
			appended.BaseOffset, appended.Duplicate = int64(k.Base), true
			return appended, nil
		}
	}
	switch {
	case len(known) == 0 && h.FirstSequence != 0:
		return nil, &talos.Error{Kind: talos.UnknownProducer}
	case len(known) > 0 && h.FirstSequence < known[len(known)-1].NextSequence():
		return nil, &talos.Error{Kind: talos.DuplicateSequence}
	case len(known) > 0 && h.FirstSequence != known[len(known)-1].NextSequence():
		return nil, &talos.Error{Kind: talos.OutOfOrderSequence}
	}
	stored := slices.Clone(b)
	batch.Place(stored, p.next, 3)
	h.Base = p.next
	p.batches = append(p.batches, stored)
	p.next = h.Next()
	known = append(known, h)
	p.known[h.ProducerID] = known[max(0, len(known)-talos.DuplicateWindow):]
	appended.BaseOffset = int64(h.Base)
	return appended, nil
}

func wire(err error) *talosv1.Error {
	kind := talos.KindOf(err)
	w := &talosv1.Error{
		Kind: string(kind), Code: int32(kind.Class().Code), Retryable: kind.Class().Retryable,
		Message: err.Error(), Hint: kind.Class().Hint,
	}
	var e *talos.Error
	if errors.As(err, &e) {
		w.Message, w.Detail = e.Message(), e.Detail
		if e.Owner != nil {
			w.OwnerAddress, w.OwnerEpoch = e.Owner.Address, int32(e.Owner.Epoch)
		}
		if e.Range != nil {
			w.Range = &talosv1.ErrorRange{Start: int64(e.Range.Start), End: int64(e.Range.End)}
		}
	}
	return w
}

func refuse(err error) *talosv1.ProduceResponse {
	return &talosv1.ProduceResponse{Result: &talosv1.ProduceResponse_Error{Error: wire(err)}}
}

// whole makes the error of a whole call.
func whole(err error) error {
	s, detailErr := status.New(talos.KindOf(err).Class().Code, err.Error()).WithDetails(protoadapt.MessageV1Of(wire(err)))
	if detailErr != nil {
		return detailErr
	}
	return s.Err()
}

// pop takes the first of some scripted errors; nil if there is none.
func pop(faults *[]error) error {
	if len(*faults) == 0 {
		return nil
	}
	err := (*faults)[0]
	*faults = (*faults)[1:]
	return err
}

func (n *node) InitProducer(context.Context, *talosv1.InitProducerRequest) (*talosv1.InitProducerResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := pop(&n.initFaults); err != nil {
		return nil, whole(err)
	}
	n.nextID++
	return &talosv1.InitProducerResponse{ProducerId: n.nextID}, nil
}

func (n *node) Version(context.Context, *talosv1.VersionRequest) (*talosv1.VersionResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := pop(&n.versionFaults); err != nil {
		return nil, whole(err)
	}
	return &talosv1.VersionResponse{
		Version: "v1", ClusterId: "c", NodeId: "n",
		MaxRecordBytes: int32(n.limits.RecordBytes), MaxBatchBytes: int32(n.limits.BatchBytes()),
		Protocol: n.protocol, OldestProtocol: n.oldestProtocol,
	}, nil
}

func (n *node) Metadata(_ context.Context, r *talosv1.MetadataRequest) (*talosv1.MetadataResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.topic == nil || r.GetTopics()[0] != n.topic.GetName() {
		return nil, whole(&talos.Error{Kind: talos.UnknownTopic})
	}
	m := &talosv1.TopicMetadata{Topic: n.topic}
	for i := range n.partitions {
		m.Partitions = append(m.Partitions, &talosv1.PartitionMetadata{Partition: int32(i), Owner: "n"})
	}
	return &talosv1.MetadataResponse{
		Topics: []*talosv1.TopicMetadata{m}, Nodes: []*talosv1.Node{{Id: "n", Address: "node:7070"}},
	}, nil
}

func (n *node) ListTopics(context.Context, *talosv1.ListTopicsRequest) (*talosv1.ListTopicsResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &talosv1.ListTopicsResponse{Topics: []*talosv1.Topic{n.topic}}, nil
}

func (n *node) CreateTopic(_ context.Context, r *talosv1.CreateTopicRequest) (*talosv1.CreateTopicResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.topic != nil {
		return nil, whole(&talos.Error{Kind: talos.TopicExists})
	}
	n.topic = &talosv1.Topic{Name: r.GetName(), Id: make([]byte, 16), Partitions: r.GetPartitions(), Config: r.GetConfig()}
	return &talosv1.CreateTopicResponse{Topic: n.topic}, nil
}

func (n *node) deleteTopic() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.topic = nil
}

func (n *node) DeleteTopic(context.Context, *talosv1.DeleteTopicRequest) (*talosv1.DeleteTopicResponse, error) {
	n.deleteTopic()
	return &talosv1.DeleteTopicResponse{}, nil
}

func (n *node) ListOffsets(_ context.Context, r *talosv1.ListOffsetsRequest) (*talosv1.ListOffsetsResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := pop(&n.listFaults); err != nil {
		return nil, whole(err)
	}
	if len(r.GetPartitions()) > talos.MaxRequestPartitions {
		return nil, whole(&talos.Error{Kind: talos.InvalidRequest, Detail: "too many partitions"})
	}
	answer := &talosv1.ListOffsetsResponse{}
	for _, asked := range r.GetPartitions() {
		l := &talosv1.ListedOffsets{TopicId: asked.GetTopicId(), Partition: asked.GetPartition()}
		p := n.partitions[asked.GetPartition()]
		if err := n.partitionFault(asked.GetPartition()); err != nil {
			l.Error = wire(err)
		} else {
			l.Range = &talosv1.OffsetRange{Start: int64(p.start), End: int64(p.next)}
			if asked.AtTimeMs != nil && !n.timeless {
				l.OffsetAtTime, l.HasOffsetAtTime = n.atTime(asked.GetPartition(), asked.GetAtTimeMs()), true
			}
			l.Epoch, l.Segments, l.Bytes, l.Owner, l.OwnerAddress = 3, 2, 100, "n", "node:7070"
		}
		answer.Partitions = append(answer.Partitions, l)
	}
	return answer, nil
}

// atTime is the base of the first batch whose time is at or behind millis.
func (n *node) atTime(partition int32, millis int64) int64 {
	p := n.partitions[partition]
	for _, b := range p.batches {
		if h, err := batch.Parse(b); err == nil && h.Base >= p.start && h.BaseTimestamp >= millis {
			return int64(h.Base)
		}
	}
	return int64(p.next)
}

func (n *node) partitionFault(partition int32) error {
	faults := n.partitionFaults[partition]
	err := pop(&faults)
	n.partitionFaults[partition] = faults
	return err
}

func (n *node) Fetch(ctx context.Context, r *talosv1.FetchRequest) (*talosv1.FetchResponse, error) {
	timer := time.NewTimer(time.Duration(r.GetMaxWaitMs()) * time.Millisecond)
	defer timer.Stop()
	n.mu.Lock()
	n.fetches = append(n.fetches, r)
	n.mu.Unlock()
	for last := false; ; {
		answer, changed, err := n.read(r)
		if err != nil || answer != nil && (last || worthwhile(answer)) {
			return answer, err
		}
		select {
		case <-changed:
		case <-timer.C:
			last = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func worthwhile(r *talosv1.FetchResponse) bool {
	return slices.ContainsFunc(r.GetPartitions(), func(f *talosv1.FetchedPartition) bool {
		return f.GetError() != nil || len(f.GetBatches()) > 0
	})
}

func (n *node) read(r *talosv1.FetchRequest) (*talosv1.FetchResponse, <-chan struct{}, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := pop(&n.fetchFaults); err != nil {
		return nil, nil, whole(err)
	}
	answer, room := &talosv1.FetchResponse{}, int(r.GetMaxBytes())
	for _, asked := range r.GetPartitions() {
		f := &talosv1.FetchedPartition{TopicId: asked.GetTopicId(), Partition: asked.GetPartition(), Epoch: 3}
		answer.Partitions = append(answer.Partitions, f)
		p, from := n.partitions[asked.GetPartition()], talos.Offset(asked.GetOffset())
		if err := n.partitionFault(asked.GetPartition()); err != nil {
			f.Error = wire(err)
			continue
		}
		if from < p.start || from > p.next {
			f.Error = wire(&talos.Error{Kind: talos.OffsetOutOfRange, Range: &talos.OffsetRange{Start: p.start, End: p.next}})
			continue
		}
		for _, b := range p.batches {
			h, err := batch.Parse(b)
			if err != nil {
				return nil, nil, err
			}
			if h.Next() > from && (len(b) <= room || room == int(r.GetMaxBytes())) {
				b = slices.Clone(b)
				if n.spoil != nil {
					n.spoil(b)
				}
				f.Batches = append(f.Batches, b...)
				room -= len(b)
			} else if h.Next() > from {
				break
			}
		}
	}
	return answer, n.changed, nil
}

// put stores records without a producer, as one batch.
func (n *node) put(t require.TestingT, partition int32, codec batch.Codec, values ...string) {
	n.putAt(t, partition, noon, codec, values...)
}

// putAt does so at a time.
func (n *node) putAt(t require.TestingT, partition int32, at time.Time, codec batch.Codec, values ...string) {
	b := batch.NewBuilder(new(batch.Compressor))
	for _, v := range values {
		b.Add(&talos.Record{Value: []byte(v)}, at)
	}
	built, err := b.Build(batch.BuildOptions{Codec: codec, ProducerID: batch.NoProducer, ProducerEpoch: -1, FirstSequence: -1})
	require.NoError(t, err)
	n.putBytes(t, partition, built)
}

func (n *node) putBytes(t require.TestingT, partition int32, b []byte) {
	h, err := batch.Parse(b)
	require.NoError(t, err)
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.partitions[partition]
	delete(p.known, batch.NoProducer)
	h.FirstSequence = 0
	_, err = p.append(b, h)
	require.NoError(t, err)
	close(n.changed)
	n.changed = make(chan struct{})
}

// stored reads back what a partition holds.
func (n *node) stored(t require.TestingT, partition int32) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	values := []string{}
	for _, b := range n.partitions[partition].batches {
		for r, err := range batch.Records(b, talos.MaxInflatedBytes) {
			require.NoError(t, err)
			require.EqualValues(t, len(values), r.Offset)
			values = append(values, string(r.Value))
		}
	}
	return values
}

// seen returns the batches that arrived so far.
func (n *node) seen() []arrival {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.arrivals)
}

var noon = time.UnixMilli(1_700_000_000_000).UTC()

func value(s string) talos.Record { return talos.Record{Value: []byte(s)} }

func numbered(i int) string { return fmt.Sprintf("record %d", i) }

// unknownRetryable is an error of a later version.
func unknownRetryable() *talosv1.ProduceResponse {
	return &talosv1.ProduceResponse{Result: &talosv1.ProduceResponse_Error{Error: &talosv1.Error{
		Kind: "Moving", Code: int32(codes.Aborted), Retryable: true, Message: "it moves",
	}}}
}
