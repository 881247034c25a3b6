package server

import (
	"context"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// logService implements talosv1.LogServer.
type logService struct {
	talosv1.UnimplementedLogServer
	node *Node
}

// InitProducer implements talosv1.LogServer.
func (s *logService) InitProducer(ctx context.Context, _ *talosv1.InitProducerRequest) (*talosv1.InitProducerResponse, error) {
	if _, err := s.node.serving(); err != nil {
		return nil, err
	}
	id, err := s.node.producerIDs.Next(ctx)
	if err != nil {
		return nil, err
	}
	return &talosv1.InitProducerResponse{ProducerId: id}, nil
}

// ListOffsets implements talosv1.LogServer. It waits for partitions that are
// being opened.
func (s *logService) ListOffsets(ctx context.Context, request *talosv1.ListOffsetsRequest) (*talosv1.ListOffsetsResponse, error) {
	t, err := s.node.serving()
	if err != nil {
		return nil, err
	}
	if err := checkPartitionCount(len(request.GetPartitions())); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	// All begin to open before one is waited for.
	for _, p := range request.GetPartitions() {
		if topic, err := topicID(p.GetTopicId()); err == nil {
			t.partitions.find(talos.PartitionID{Topic: topic, Number: p.GetPartition()})
		}
	}
	response := &talosv1.ListOffsetsResponse{}
	for _, p := range request.GetPartitions() {
		listed, err := s.listOne(ctx, t, p)
		if err != nil {
			s.node.failed(talosv1.Log_ListOffsets_FullMethodName, err)
			listed = &talosv1.ListedOffsets{Error: toProto(err)}
		}
		listed.TopicId, listed.Partition = p.GetTopicId(), p.GetPartition()
		response.Partitions = append(response.Partitions, listed)
	}
	return response, nil
}

func (s *logService) listOne(ctx context.Context, t *term, p *talosv1.ListOffsetsPartition) (*talosv1.ListedOffsets, error) {
	topic, err := topicID(p.GetTopicId())
	if err != nil {
		return nil, err
	}
	id := talos.PartitionID{Topic: topic, Number: p.GetPartition()}
	found := t.partitions.find(id)
	for found.opening != nil {
		select {
		case <-found.opening:
			found = t.partitions.find(id)
		case <-ctx.Done():
			return nil, found.err
		}
	}
	if found.err != nil {
		return nil, found.err
	}
	if err := checkEpoch(found.log, p.GetEpoch()); err != nil {
		return nil, err
	}
	rng, stats := found.log.Range(), found.log.Stats()
	return &talosv1.ListedOffsets{
		Range: toRange(rng), Epoch: int32(found.log.Epoch()),
		Segments: int32(stats.Segments), Bytes: stats.Bytes,
		Owner: s.node.cfg.NodeID, OwnerAddress: s.node.cfg.Address,
	}, nil
}

func toRange(r talos.OffsetRange) *talosv1.OffsetRange {
	return &talosv1.OffsetRange{Start: int64(r.Start), End: int64(r.End)}
}

func checkPartitionCount(n int) error {
	if n <= talos.MaxRequestPartitions {
		return nil
	}
	return invalidRequest("server.checkPartitionCount", "%d partitions in one request, the limit is %d", n, talos.MaxRequestPartitions)
}

// Fetch implements talosv1.LogServer.
func (s *logService) Fetch(ctx context.Context, request *talosv1.FetchRequest) (*talosv1.FetchResponse, error) {
	t, err := s.node.serving()
	if err != nil {
		return nil, err
	}
	c, ok := callOf(ctx)
	if !ok {
		return nil, errNotAdmitted
	}
	f, err := newFetch(s.node, t, c.memory, request)
	if err != nil {
		return nil, err
	}
	deadline := time.NewTimer(min(time.Duration(request.GetMaxWaitMs())*time.Millisecond, maxFetchWait))
	defer deadline.Stop()
	if err := f.run(ctx, deadline.C); err != nil {
		return nil, err
	}
	return f.response(), nil
}
