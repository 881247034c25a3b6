package server

import (
	"context"
	"time"

	"github.com/talos-log/talos/partition"
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
			name := requestID(ctx)
			s.node.failed(talosv1.Log_ListOffsets_FullMethodName, name, err)
			listed = &talosv1.ListedOffsets{Error: toProto(name, err)}
		}
		listed.TopicId, listed.Partition = p.GetTopicId(), p.GetPartition()
		response.Partitions = append(response.Partitions, listed)
	}
	return response, nil
}

func (s *logService) listOne(ctx context.Context, t *term, p *talosv1.ListOffsetsPartition) (*talosv1.ListedOffsets, error) {
	log, err := t.await(ctx, p.GetTopicId(), p.GetPartition(), p.GetEpoch())
	if err != nil {
		return nil, err
	}
	listed := &talosv1.ListedOffsets{Owner: s.node.cfg.NodeID, OwnerAddress: s.node.cfg.Address}
	if p.AtTimeMs != nil {
		o, err := log.OffsetForTime(ctx, time.UnixMilli(p.GetAtTimeMs()))
		if err != nil {
			return nil, err
		}
		listed.OffsetAtTime, listed.HasOffsetAtTime = int64(o), true
	}
	// Behind the search, so that what it found lies in the range.
	stats := log.Stats()
	listed.Range, listed.Epoch = toRange(log.Range()), int32(log.Epoch())
	listed.Segments, listed.Bytes = int32(stats.Segments), stats.Bytes
	return listed, nil
}

// await returns the log of a partition, and waits for it while it is being opened.
func (t *term) await(ctx context.Context, topic []byte, number, epoch int32) (*partition.Log, error) {
	named, err := topicID(topic)
	if err != nil {
		return nil, err
	}
	id := talos.PartitionID{Topic: named, Number: number}
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
	if err := checkEpoch(found.log, epoch); err != nil {
		return nil, err
	}
	return found.log, nil
}

// DeleteRecords implements talosv1.LogServer.
func (s *logService) DeleteRecords(ctx context.Context, request *talosv1.DeleteRecordsRequest) (*talosv1.DeleteRecordsResponse, error) {
	t, err := s.node.serving()
	if err != nil {
		return nil, err
	}
	if request.GetOffset() < 0 {
		return nil, invalidRequest("server.DeleteRecords", "the offset is %d", request.GetOffset())
	}
	if id, err := topicID(request.GetTopicId()); err == nil {
		if err := t.refuseWrite("server.DeleteRecords", id); err != nil {
			return nil, err
		}
	}
	waiting, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	log, err := t.await(waiting, request.GetTopicId(), request.GetPartition(), request.GetEpoch())
	if err != nil {
		return nil, err
	}
	if err := log.Trim(ctx, talos.Offset(request.GetOffset())); err != nil {
		return nil, err
	}
	return &talosv1.DeleteRecordsResponse{Range: toRange(log.Range()), Epoch: int32(log.Epoch())}, nil
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
	return f.response(requestID(ctx)), nil
}
