package sdk

import (
	"context"
	"log/slog"
	"sync"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos/batch"
)

// alarmSlack is by how much what waits for a time may come early, so that one
// alarm serves many lanes.
const alarmSlack = 5 * time.Millisecond

// pipeline is a producer from its intake to done. One goroutine, run, owns all of
// it; a stream's two goroutines and the call for a new id tell it events.
type pipeline struct {
	ctx    context.Context // ends with the producer
	client *Client
	p      *Producer
	cfg    producerConfig
	logger *slog.Logger
	id     producerID // what lanes start with

	events  chan event
	others  sync.WaitGroup // the goroutines that send events
	alarm   *time.Timer
	alarmAt time.Time // zero if the alarm is not set

	builder *batch.Builder
	lanes   []*lane // by partition; nil until used
	spare   []taken // to use again
	cohorts cohorts
	fatal   error // ends the producer: everything fails with it

	links map[string]*link // by address
	// room has a token if a session that was full has room again.
	room   chan struct{}
	lastID uint64
	// owners has an address for each partition, as of the last look.
	owners []string
	// looking says that a look for the partitions is under way; looks counts them
	// since the last acknowledgement, and the next one is due at nextLook.
	looking  bool
	looks    int
	nextLook time.Time
	lookErr  error // of the last look
	// asking says that the call for a new id is under way.
	asking bool
}

func newPipeline(ctx context.Context, c *Client, p *Producer, cfg producerConfig, id producerID, found layout) *pipeline {
	alarm := time.NewTimer(time.Hour)
	alarm.Stop()
	return &pipeline{
		ctx: ctx, client: c, p: p, cfg: cfg, id: id, logger: c.cfg.logger.With("topic", p.topic.Name),
		events: make(chan event), alarm: alarm,
		builder: batch.NewBuilder(new(batch.Compressor)), lanes: make([]*lane, p.topic.Partitions),
		cohorts: newCohorts(), links: make(map[string]*link), room: make(chan struct{}, 1), owners: found.owners,
	}
}

// run is the owner. It ends when the producer's context does; what is left then fails with Closed.
func (l *pipeline) run() {
	defer close(l.p.ended)
	defer l.others.Wait()
	defer l.p.end()
	defer l.alarm.Stop()
	l.nextLook = time.Now().Add(l.client.cfg.metadataInterval)
	l.wakeBy(l.nextLook)
	for {
		select {
		case <-l.ctx.Done():
			l.die(closedError("sdk.Producer"))
			l.takeAll()
			l.cohorts.answer()
			return
		case <-l.p.intake.wake:
			l.takeAll()
		case e := <-l.events:
			e.apply(l)
		case <-l.room:
			for _, k := range l.links {
				k.feed()
			}
		case <-l.alarm.C:
			l.onAlarm(time.Now())
		}
		l.cohorts.answer()
	}
}

// takeAll moves what Send took into the lanes, and sends what can be sent.
func (l *pipeline) takeAll() {
	items := l.p.intake.takeAll(l.spare[:0])
	var touched []*lane
	for i := range items {
		t := &items[i]
		if t.flush != nil {
			l.cohorts.close(t.flush)
			continue
		}
		t.entry.cohort = l.cohorts.open()
		t.entry.cohort.pending++
		if l.fatal != nil {
			l.finish(&t.entry, Delivery{}, l.failure(l.subject(t.partition), l.fatal, notSent))
			continue
		}
		n := l.lane(t.partition)
		if !n.touched {
			n.touched = true
			touched = append(touched, n)
		}
		n.queue = append(n.queue, *t)
	}
	clear(items)
	l.spare = items
	now := time.Now()
	for _, n := range touched {
		n.touched = false
		l.pump(n, now)
		l.watch(n)
	}
}

func (l *pipeline) subject(partition int32) string { return subject(l.p.topic.Name, partition) }

func (l *pipeline) lane(partition int32) *lane {
	n := l.lanes[partition]
	if n == nil {
		n = &lane{
			partition: partition, subject: l.subject(partition), id: l.id,
			epoch: l.client.epochs.of(l.p.topic.ID, partition),
		}
		if int(partition) < len(l.owners) {
			n.owner = l.owners[partition]
		}
		l.lanes[partition] = n
	}
	return n
}

// pump does for a lane what can be done now.
func (l *pipeline) pump(n *lane, now time.Time) {
	if l.fatal != nil || n.renewing || n.missing != nil {
		return
	}
	if n.stale && len(n.inflight) == 0 {
		n.renewing = true
		l.askForID()
		return
	}
	if n.idle() {
		return
	}
	if n.mayMove() {
		l.move(n)
	}
	k := l.reach(n, now)
	if k == nil || n.resend && !l.resend(n, now) {
		return
	}
	for !n.stale && len(n.queue) > 0 && len(n.inflight) < l.cfg.maxInFlight {
		l.build(n)
	}
	k.feed()
}

// resend sends again what must be, once nothing is unanswered and the delay is
// over. It tells whether the lane may go on.
func (l *pipeline) resend(n *lane, now time.Time) bool {
	if n.unanswered > 0 {
		return false
	}
	if now.Add(alarmSlack).Before(n.notBefore) {
		l.wakeBy(n.notBefore)
		return false
	}
	if n.lost != nil && !l.recover(n) {
		return false
	}
	n.resend = false
	for _, f := range n.inflight {
		if !f.resolved {
			l.enqueue(f)
		}
	}
	return true
}

// recover decides what to do when the node knows nothing of the producer. It
// tells whether batches can be sent as they are.
func (l *pipeline) recover(n *lane) bool {
	cause := n.lost
	n.lost = nil
	switch {
	case !n.unresolved():
		return true
	case n.uncertain():
		// The queue waits for another id: nothing else would ask for it.
		l.failFrom(n, 0, cause)
		l.deliver(n)
		n.resend = false
	default:
		// None of them is stored: they go again, in order, under another id.
	}
	n.renewing = true
	l.askForID()
	return false
}

// build makes a batch of the front of the queue, and sends it.
func (l *pipeline) build(n *lane) {
	f := &batchInFlight{lane: n}
	for len(n.queue) > 0 {
		t := &n.queue[0]
		if l.builder.Len() > 0 && l.builder.Size()+t.bound > l.p.node.MaxBatchBytes {
			break
		}
		l.builder.Add(&t.record, t.at)
		f.entries = append(f.entries, t.entry)
		n.pop()
	}
	b, err := l.builder.Build(batch.BuildOptions{
		Codec: l.cfg.codec, ProducerID: n.id.id, ProducerEpoch: n.id.epoch, FirstSequence: n.next,
	})
	n.inflight = append(n.inflight, f)
	if err != nil {
		// It was never part of the sequence, so there is no hole.
		f.resolved, f.err = true, l.failure(n.subject, err, notSent)
		l.deliver(n)
		return
	}
	n.next = batch.AddSequence(n.next, int32(len(f.entries)))
	f.bytes = b
	l.enqueue(f)
}

// enqueue puts a batch on its way to the lane's link, whose feed must follow.
func (l *pipeline) enqueue(f *batchInFlight) {
	l.lastID++
	// A new message each time: gRPC may still hold the last one.
	f.request = &talosv1.ProduceRequest{
		Id: l.lastID, TopicId: l.p.topic.ID[:], Partition: f.lane.partition,
		Epoch: int32(f.lane.epoch), Batch: f.bytes,
	}
	f.unanswered, f.again = true, false
	f.lane.unanswered++
	k := l.links[f.lane.address]
	k.byID[l.lastID] = f
	k.out = append(k.out, f)
}

// watch sets the alarm for the lane's delivery timeout.
func (l *pipeline) watch(n *lane) {
	if !n.idle() {
		l.wakeBy(n.oldest().Add(l.cfg.deliveryTimeout))
	}
}

func (l *pipeline) wakeBy(t time.Time) {
	if l.alarmAt.IsZero() || t.Before(l.alarmAt) {
		l.alarmAt = t
		l.alarm.Reset(max(0, time.Until(t)))
	}
}

// onAlarm looks at everything that waits for a time.
func (l *pipeline) onAlarm(now time.Time) {
	l.alarmAt = time.Time{}
	if l.fatal == nil && !now.Before(l.nextLook) {
		l.look(now)
	}
	l.wakeBy(l.nextLook)
	for _, n := range l.lanes {
		if n != nil && !n.idle() {
			l.expire(n, now)
			l.pump(n, now)
			l.watch(n)
		}
	}
}
