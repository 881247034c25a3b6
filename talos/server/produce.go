package server

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/talos-log/talos/partition"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// produceStream is one stream of Produce: a goroutine that receives batches and
// hands them to the logs, and one, the call's own, that sends the answers.
//
//	receive ──► Log.Append ──► done ──► answers (order per partition) ──► send
//	   ▲                                                                   │
//	   └────────────── places: at most maxStreamBatches ◄──────────────────┘
//
// Without a place the receiver does not read, so gRPC's flow control makes the
// client wait, also one that sends batches and reads no answers.
type produceStream struct {
	node   *Node
	stream grpc.BidiStreamingServer[talosv1.ProduceRequest, talosv1.ProduceResponse]
	// places holds one token for each batch between its receipt and its answer.
	places chan struct{}
	// request is the client's name of the stream.
	request string
	// header is what the client came in with, and letIn when that was last looked
	// at; the receiver's.
	header metadata.MD
	letIn  time.Time
	// bytes bounds the batches that logs hold.
	bytes   *semaphore.Weighted
	answers *answers
}

// Produce implements talosv1.LogServer.
func (s *logService) Produce(stream grpc.BidiStreamingServer[talosv1.ProduceRequest, talosv1.ProduceResponse]) error {
	p := &produceStream{
		node: s.node, stream: stream, request: requestID(stream.Context()), letIn: time.Now(),
		places:  make(chan struct{}, maxStreamBatches),
		bytes:   semaphore.NewWeighted(int64(max(maxStreamBytes, s.node.cfg.Limits.BatchBytes()))),
		answers: newAnswers(maxStreamBatches),
	}
	p.header, _ = metadata.FromIncomingContext(stream.Context())
	received := make(chan error, 1)
	// The goroutine ends after this function, which ends the stream's context; Run
	// waits for it.
	s.node.receivers.Go(func() {
		received <- s.node.guard(talosv1.Log_Produce_FullMethodName, p.receive)
	})
	return p.send(received)
}

// send sends answers until all that was received is answered, or the stream or
// the node ends.
func (p *produceStream) send(received <-chan error) error {
	for {
		select {
		case a := <-p.answers.ready:
			if err := p.sendOne(a); err != nil {
				return err
			}
		case err := <-received:
			if errors.Is(err, errPanic) {
				// The batch that it panicked over will never have an answer.
				return p.sendReady(err)
			}
			return p.sendRest(err)
		case <-p.stream.Context().Done():
			return p.stream.Context().Err()
		case <-p.node.closing:
			return p.sendReady(p.node.notActive())
		}
	}
}

// sendRest sends the answers still due after the receiver has ended with err.
func (p *produceStream) sendRest(err error) error {
	for len(p.places) > 0 {
		select {
		case a := <-p.answers.ready:
			if err := p.sendOne(a); err != nil {
				return err
			}
		case <-p.stream.Context().Done():
			return p.stream.Context().Err()
		}
	}
	return err
}

// sendReady sends the answers that are there now, and ends with err.
func (p *produceStream) sendReady(err error) error {
	for {
		select {
		case a := <-p.answers.ready:
			if err := p.sendOne(a); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

func (p *produceStream) sendOne(a *answer) error {
	response := &talosv1.ProduceResponse{Id: a.id}
	if a.err != nil {
		response.Result = &talosv1.ProduceResponse_Error{Error: toProto(p.request, a.err)}
	} else {
		response.Result = &talosv1.ProduceResponse_Appended{Appended: &talosv1.Appended{
			BaseOffset: int64(a.appended.Base), AppendTimeMs: a.appended.Time.UnixMilli(),
			Epoch: int32(a.appended.Epoch), Duplicate: a.appended.Duplicate,
		}}
	}
	if err := p.stream.Send(response); err != nil {
		return err
	}
	<-p.places
	return nil
}

// receive takes requests until the client sends no more, or the stream ends.
func (p *produceStream) receive() error {
	ctx := p.stream.Context()
	for {
		select {
		case p.places <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		request, err := p.stream.Recv()
		if err != nil {
			<-p.places
			if errors.Is(err, io.EOF) {
				return nil
			}
			// Of a message above RequestBytes, gRPC itself has told the client.
			return err
		}
		if err := p.take(ctx, request); err != nil {
			return err
		}
	}
}

// take hands one batch to its log. Whatever is wrong with it goes into the
// answer; an error ends the stream.
func (p *produceStream) take(ctx context.Context, request *talosv1.ProduceRequest) error {
	received, size := time.Now(), len(request.GetBatch())
	lane := talos.PartitionID{Number: request.GetPartition()}
	copy(lane.Topic[:], request.GetTopicId())
	a := p.answers.expect(request.GetId(), lane)
	t, err := p.admit(request, received)
	if err != nil {
		p.complete(a, size, received, partition.Appended{}, err)
		return nil
	}
	if err := p.bytes.Acquire(ctx, int64(size)); err != nil {
		return err
	}
	if err := p.node.produceBytes.Acquire(ctx, int64(size)); err != nil {
		p.bytes.Release(int64(size))
		return err
	}
	p.node.health.began(received)
	p.node.metrics.waitingBatches.Inc()
	p.node.metrics.requestBytes.Add(int64(size))
	done := func(appended partition.Appended, err error) {
		p.node.health.answered()
		p.node.metrics.waitingBatches.Dec()
		p.node.metrics.requestBytes.Add(-int64(size))
		p.node.produceBytes.Release(int64(size))
		p.bytes.Release(int64(size))
		p.complete(a, size, received, appended, err)
	}
	t.partitions.withLog(lane, func(f found) {
		err := f.err
		if err == nil {
			err = checkEpoch(f.log, request.GetEpoch())
		}
		if err != nil {
			done(partition.Appended{}, err)
			return
		}
		f.log.Append(request.GetBatch(), func(appended partition.Appended, err error) {
			if err == nil {
				f.counted.add(size)
			}
			done(appended, err)
		})
	})
	return nil
}

// entryInterval is how often a stream's client is checked again. A stream may
// outlive a token, or a certificate.
const entryInterval = time.Second

// admit checks the client, the batch, and that the node may own partitions.
func (p *produceStream) admit(request *talosv1.ProduceRequest, now time.Time) (*term, error) {
	if now.Sub(p.letIn) >= entryInterval {
		if err := p.node.letsIn(p.stream.Context(), p.header); err != nil {
			return nil, err
		}
		p.letIn = now
	}
	id, err := topicID(request.GetTopicId())
	if err != nil {
		return nil, err
	}
	t, err := p.node.serving()
	if err != nil {
		return nil, err
	}
	if err := t.refuseWrite("server.Produce", id); err != nil {
		return nil, err
	}
	// Checked before the partition is looked at: what can't be stored must be told
	// apart from what can't be stored now.
	if _, err := batch.Check(request.GetBatch(), p.node.cfg.Limits.BatchBytes()); err != nil {
		return nil, err
	}
	return t, nil
}

// complete is called from the log's own goroutine, too: it does not block.
func (p *produceStream) complete(a *answer, size int, received time.Time, appended partition.Appended, err error) {
	if err == nil {
		p.node.health.stored()
		p.node.metrics.appended(size, time.Since(received))
	} else {
		p.node.metrics.appendsRefused.Inc()
		p.node.failed(talosv1.Log_Produce_FullMethodName, p.request, err)
	}
	p.answers.complete(a, appended, err)
}

// checkEpoch returns NotOwner if the client has seen a later owner of the log's
// partition.
func checkEpoch(log *partition.Log, seen int32) error {
	own := log.Epoch()
	if talos.Epoch(seen) <= own {
		return nil
	}
	return &talos.Error{
		Kind: talos.NotOwner, Op: "server.checkEpoch", Detail: "the client has seen a later owner",
		Owner: &talos.Owner{Epoch: talos.Epoch(seen)},
	}
}
