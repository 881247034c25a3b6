package simulate

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/talos-log/talos/coordinator"
	coordinatormem "github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

const (
	retryAfter = 200 * time.Millisecond
	// handoverTime is how long a partition that moves may take to be closed.
	handoverTime = 10 * time.Second
	// leaveTime is how long a host that ends waits until others have what it owned.
	leaveTime = 20 * time.Second
)

// host is one run of a node.
type host struct {
	w     *world
	id    string
	gate  *gate
	kv    *coordinatormem.KV
	store storage.Store
	meta  *coordinator.Meta

	// saidUnfit is what the host said last, and unheard that it may not have been
	// heard. They belong to watchStore, of which there is one at a time.
	saidUnfit, unheard bool

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu sync.Mutex // guards the fields below; never held while waiting
	// serving is the present term's; nil without one.
	term  *term
	lease *lease
}

// term is one registration of a host, and the partitions it serves in it.
type term struct {
	h      *host
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex // guards logs and each slot's log; never held while waiting
	slots map[talos.PartitionID]*slot
}

// slot is a partition; its turn holds one token for whoever opens or closes it.
type slot struct {
	turn chan struct{}
	log  *partition.Log
}

func (w *world) newHost(id string) *host {
	h := &host{w: w, id: id, gate: newGate(), kv: w.kv.Handle()}
	shared := storage.Store(w.store)
	if w.mutant == NoFencing {
		shared = unfenced{shared}
	}
	h.store = faulty.New(shared, h.befall)
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.wg.Go(h.run)
	return h
}

// run registers again and again, and serves in between.
func (h *host) run() {
	for h.ctx.Err() == nil {
		meta, err := coordinator.Open(h.ctx, &wire{inner: h.kv, w: h.w, h: h}, coordinator.Node{ID: h.id, Address: h.id + ":7070"}, h.w.logger)
		if err == nil {
			h.mu.Lock()
			h.meta = meta
			h.mu.Unlock()
			break
		}
		h.pause(retryAfter)
	}
	for h.ctx.Err() == nil {
		if err := h.meta.Register(h.ctx); err != nil {
			h.pause(retryAfter)
			continue
		}
		h.serve()
	}
}

func (h *host) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-h.ctx.Done():
	}
}

// serve is one term.
func (h *host) serve() {
	t := &term{h: h, slots: make(map[talos.PartitionID]*slot)}
	t.ctx, t.cancel = context.WithCancel(h.ctx)
	follower := h.meta.View().Follow()
	h.mu.Lock()
	h.term = t
	h.mu.Unlock()
	t.wg.Go(func() { h.meta.Schedule(t.ctx) })
	t.wg.Go(t.watchStore)
	lost := h.meta.Lost()
loop:
	for {
		select {
		case <-follower.Wake():
			follower.Take()
			t.reconcile()
		case <-lost:
			break loop
		case <-t.ctx.Done():
			break loop
		}
	}
	follower.Close()
	h.mu.Lock()
	h.term = nil
	h.mu.Unlock()
	t.cancel()
	t.wg.Wait()
	for _, id := range t.served() {
		t.drop(id)
	}
}

// servesOn tells whether the host serves in the term of a session.
func (h *host) servesOn(l *lease) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.term != nil && h.lease == l
}

func (h *host) opened(l *lease) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lease = l
}

func (h *host) now() *term {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.term
}

// reconcile closes what is another's, or no topic's anymore, and hands over what
// should go.
func (t *term) reconcile() {
	view := t.h.meta.View()
	for _, id := range t.served() {
		if _, there := view.TopicOf(id.Topic); !there || view.Owner(id).Owner != t.h.id {
			t.drop(id)
		}
	}
	for _, topic := range view.Topics() {
		for n := range topic.Partitions {
			id := talos.PartitionID{Topic: topic.ID, Number: n}
			if o := view.Owner(id); o.Owner == t.h.id && o.Next != "" {
				t.wg.Go(func() { t.handOver(id) })
			}
		}
	}
}

// served are the partitions that the host has, or had, in this term.
func (t *term) served() []talos.PartitionID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.slots))
}

func (t *term) slot(id talos.PartitionID) *slot {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.slots[id]
	if !ok {
		s = &slot{turn: make(chan struct{}, 1)}
		t.slots[id] = s
	}
	return s
}

// take takes the log away from its slot.
func (t *term) take(s *slot) *partition.Log {
	t.mu.Lock()
	defer t.mu.Unlock()
	log := s.log
	s.log = nil
	return log
}

// drop gives a partition up without a word.
func (t *term) drop(id talos.PartitionID) {
	if log := t.take(t.slot(id)); log != nil {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		t.h.wg.Go(func() { _ = log.Close(ended) }) // its next owner recovers it
	}
}

// handOver closes a partition in good order, and then says that it is the next
// owner's.
func (t *term) handOver(id talos.PartitionID) {
	s := t.slot(id)
	select {
	case s.turn <- struct{}{}:
	case <-t.ctx.Done():
		return
	}
	defer func() { <-s.turn }()
	if log := t.take(s); log != nil {
		ctx, cancel := context.WithTimeout(t.ctx, handoverTime)
		_ = log.Close(ctx) // its next owner recovers what is left
		cancel()
	}
	for t.ctx.Err() == nil {
		err := t.h.meta.Release(t.ctx, id.Topic, []int32{id.Number})
		if err == nil {
			t.h.w.count("handover")
			return
		}
		if !talos.Retryable(err) || talos.KindOf(err) == talos.NotOwner {
			return
		}
		t.h.pause(retryAfter)
	}
}

// open returns the log of a partition that this host owns.
func (t *term) open(ctx context.Context, id talos.PartitionID) (*partition.Log, error) {
	refused := func(kind talos.Kind, why string) error {
		return &talos.Error{Kind: kind, Op: "simulate.open", Subject: id.String(), Detail: why}
	}
	switch o := t.h.meta.View().Owner(id); {
	case o.Owner != t.h.id:
		return nil, refused(talos.NotOwner, o.Owner)
	case o.Next != "":
		return nil, refused(talos.NotServing, "it moves")
	}
	s := t.slot(id)
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, refused(talos.Timeout, "it is being opened")
	}
	defer func() { <-s.turn }()
	t.mu.Lock()
	log := s.log
	t.mu.Unlock()
	if log != nil {
		select {
		case <-log.Done():
			t.take(s)
		default:
			return log, nil
		}
	}
	opening, cancel := context.WithTimeout(t.ctx, 20*time.Second)
	defer cancel()
	topic, there := t.h.meta.View().TopicOf(id.Topic)
	if !there {
		return nil, refused(talos.NotServing, "there is no such topic, as far as the host knows")
	}
	log, err := partition.Open(opening, partition.Config{
		Cluster: t.h.meta.Cluster().ID, Topic: topic, Partition: id.Number, Store: t.h.store,
		Records: t.h.meta.Record(id), Logger: t.h.w.logger, Tails: t.h.w.tails, History: nil,
	})
	switch {
	case err != nil && t.ctx.Err() != nil:
		return nil, refused(talos.NotServing, "the term is over")
	case err != nil:
		return nil, err
	}
	t.h.w.count("opened")
	t.mu.Lock()
	if t.ctx.Err() == nil {
		s.log = log
		t.mu.Unlock()
		return log, nil
	}
	t.mu.Unlock()
	ended, end := context.WithCancel(context.Background())
	end()
	_ = log.Close(ended)
	return nil, refused(talos.NotServing, "the term is over")
}

// produce appends one batch, as a client asks for it; epoch is the highest that the
// client has seen.
func (h *host) produce(ctx context.Context, id talos.PartitionID, epoch talos.Epoch, b []byte) (partition.Appended, error) {
	log, err := h.admit(ctx, id, epoch)
	if err != nil {
		return partition.Appended{}, err
	}
	if h.w.mutant == NoDeduplication {
		batch.Stamp(b, batch.NoProducer, -1, -1)
	}
	type answer struct {
		appended partition.Appended
		err      error
	}
	answered := make(chan answer, 1)
	log.Append(b, func(a partition.Appended, err error) { answered <- answer{a, err} })
	select {
	case a := <-answered:
		if err := h.gate.run(ctx); err != nil {
			return partition.Appended{}, &talos.Error{Kind: talos.Unavailable, Op: "simulate.produce", Cause: err}
		}
		return a.appended, a.err
	case <-ctx.Done():
		return partition.Appended{}, &talos.Error{Kind: talos.Timeout, Op: "simulate.produce"}
	case <-h.gate.dead:
		return partition.Appended{}, &talos.Error{Kind: talos.Unavailable, Op: "simulate.produce"}
	}
}

// fetch reads from an offset on; epoch is the highest that the client has seen.
func (h *host) fetch(ctx context.Context, id talos.PartitionID, offset talos.Offset, epoch talos.Epoch) ([]byte, talos.OffsetRange, talos.Epoch, error) {
	log, err := h.admit(ctx, id, epoch)
	if err != nil {
		return nil, talos.OffsetRange{}, 0, err
	}
	at := log.Range()
	read, err := log.Read(ctx, offset, 1<<16)
	if talos.KindOf(err) == talos.OffsetOutOfRange {
		at = log.Range() // the start may have moved
	}
	if err == nil {
		err = h.gate.run(ctx)
	}
	return read, at, log.Epoch(), err
}

// admit returns the log of a partition for a client, unless that has seen a later
// owner.
func (h *host) admit(ctx context.Context, id talos.PartitionID, epoch talos.Epoch) (*partition.Log, error) {
	if err := h.gate.run(ctx); err != nil {
		return nil, &talos.Error{Kind: talos.Unavailable, Op: "simulate.call", Cause: err}
	}
	t := h.now()
	if t == nil {
		return nil, &talos.Error{Kind: talos.NotServing, Op: "simulate.call"}
	}
	log, err := t.open(ctx, id)
	if err == nil && log.Epoch() < epoch && h.w.mutant != IgnoresEpochs {
		return nil, &talos.Error{Kind: talos.NotOwner, Op: "simulate.call"}
	}
	return log, err
}

// crash ends the process at once.
func (h *host) crash() {
	h.gate.kill()
	h.end()
}

// leave ends the host in good order, if that is possible.
func (h *host) leave() {
	ctx, cancel := context.WithTimeout(h.ctx, leaveTime)
	defer cancel()
	if meta := h.opener(); meta != nil && meta.LeaveNow(ctx) == nil {
		for ctx.Err() == nil {
			if owned, coming := meta.View().Owned(h.id); owned+coming == 0 {
				break
			}
			select {
			case <-meta.View().Moved():
			case <-ctx.Done():
			}
		}
	}
	h.end()
}

func (h *host) opener() *coordinator.Meta {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.meta
}

// end returns when nothing of the host runs any more.
func (h *host) end() {
	h.cancel()
	h.wg.Wait()
	if meta := h.opener(); meta != nil {
		meta.Close()
	}
}

// unfenced is a store whose Recover stops nobody.
type unfenced struct{ storage.Store }

// Recover implements storage.Store.
func (s unfenced) Recover(ctx context.Context, id storage.ID) (storage.Info, error) {
	r, err := s.Open(ctx, id)
	if err != nil {
		return storage.Info{}, err
	}
	defer r.Close() //nolint:errcheck // it was only read
	size, err := r.Size(ctx)
	return storage.Info{Name: id.Name, Size: size, Sealed: true}, err
}
