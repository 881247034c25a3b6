package load

import (
	"context"
	"errors"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"github.com/talos-log/talos/test/history"
)

// plainPause is how long a plain producer rests after an error.
const plainPause = 50 * time.Millisecond

// plain is a producer without an id: it sends each record once, one after the
// other, and takes an error for what it is.
type plain struct {
	plan     Plan
	stopping <-chan struct{}
	number   int
	direct   *direct
	builder  *batch.Builder
}

func openPlain(ctx context.Context, plan Plan, stopping <-chan struct{}, number int) (*plain, error) {
	d, err := openDirect(ctx, plan.Address, plan.Topic)
	if err != nil {
		return nil, err
	}
	return &plain{plan: plan, stopping: stopping, number: number, direct: d, builder: batch.NewBuilder(&batch.Compressor{})}, nil
}

func (p *plain) close(context.Context) error { return p.direct.close() }

func (p *plain) name() int { return p.number }

func (p *plain) run(ctx context.Context) error {
	pace := newPace(p.plan.Rate)
	defer pace.stop()
	for sequence := 0; p.plan.Records == 0 || sequence < p.plan.Records; sequence++ {
		if !pace.wait(ctx, p.stopping) {
			return nil
		}
		answered, err := p.send(ctx, history.ID{Producer: p.number, Sequence: sequence})
		if err != nil {
			return err
		}
		if answered {
			continue
		}
		select {
		case <-p.stopping:
		case <-time.After(plainPause):
		}
	}
	return nil
}

// send tells whether the record was acknowledged.
func (p *plain) send(ctx context.Context, id history.ID) (bool, error) {
	r := Record(id, p.plan.Lines)
	partition := PartitionOf(id, p.direct.topic.Partitions)
	p.builder.Add(&r, r.Timestamp)
	bytes, err := p.builder.Build(batch.BuildOptions{ProducerID: batch.NoProducer, ProducerEpoch: -1, FirstSequence: -1})
	if err != nil {
		return false, err
	}
	h := p.plan.History
	h.Send(id, partition, history.DigestOf(&r))
	answer, err := p.direct.produce(ctx, partition, bytes)
	if err != nil {
		h.Unknown(id, err)
		return false, nil
	}
	if told := answer.GetError(); told != nil {
		if notStored(told) {
			h.Refused(id, errors.New(told.GetMessage()))
		} else {
			h.Unknown(id, errors.New(told.GetMessage()))
		}
		return false, nil
	}
	a := answer.GetAppended()
	h.Acked(id, history.Ack{
		Partition: partition, Offset: talos.Offset(a.GetBaseOffset()), Epoch: talos.Epoch(a.GetEpoch()), Duplicate: a.GetDuplicate(),
	})
	return true, nil
}

// notStored tells whether an error promises that nothing was stored, and that
// nothing will be: the node refused the batch before it took it.
func notStored(told *talosv1.Error) bool {
	switch talos.Kind(told.GetKind()) {
	case talos.QueueFull, talos.NotServing, talos.TooManyProducers, talos.UnknownTopic, talos.UnknownPartition:
		return true
	default:
		return false
	}
}
