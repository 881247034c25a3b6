package leases

import (
	"context"
	"fmt"
	"log/slog"
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

var quiet = slog.New(slog.DiscardHandler)

// appendsEach is how many records each owner is asked to store.
const appendsEach = 2

// endsBehind makes the session's end come, if the oldest goes first, when the owner
// has had one append acknowledged and waits for the next.
const endsBehind = 3

// node is a node that opens the partition when it is its, and stores a few records.
type node struct {
	r     *run
	id    string
	kv    *coordinatormem.KV
	store storage.Store
	meta  *coordinator.Meta
	wg    sync.WaitGroup
}

func (r *run) startNode(ctx context.Context, id string) *node {
	n := &node{r: r, id: id, kv: r.kv.Handle()}
	shared := r.store
	if r.mutant == noFencing {
		shared = unfenced{shared}
	}
	n.store = faulty.New(shared, func(call faulty.Call) faulty.Fault {
		switch call.Op {
		case faulty.Create, faulty.Append, faulty.Recover:
			return faulty.Fault{Before: func(ctx context.Context) error { return r.wait(ctx, id+": "+string(call.Op)) }}
		default:
			return faulty.Fault{}
		}
	})
	var err error
	n.meta, err = coordinator.Open(ctx, gate{n.kv, n}, coordinator.Node{ID: id, Address: id + ":1"}, quiet)
	if err != nil {
		r.breaks("%s can't start: %w", id, err)
		return n
	}
	n.wg.Go(func() {
		for ctx.Err() == nil {
			if n.meta.Register(ctx) == nil {
				n.serve(ctx)
			}
		}
	})
	return n
}

// serve is one registration.
func (n *node) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var term sync.WaitGroup
	defer term.Wait()
	term.Go(func() { n.meta.Schedule(ctx) })
	lost := n.meta.Lost()
	var log *partition.Log
	defer func() {
		cancel()
		if log != nil {
			_ = log.Close(ctx) // it is given up, and its next owner recovers it
		}
	}()
	for {
		moved := n.meta.View().Moved()
		if n.r.scheduler && n.meta.View().Scheduler() == n.id {
			n.sessionMayEnd()
		}
		owns := n.meta.View().Owner(n.partition()).Owner == n.id
		switch {
		case owns && log == nil:
			if !n.r.scheduler {
				n.sessionMayEnd()
			}
			var err error
			if log, err = n.open(ctx); err == nil {
				opened, first := log, n.r.firstOwner()
				term.Go(func() {
					if n.append(ctx, opened) && (!first || n.r.scheduler) {
						n.r.finishes()
					}
				})
			}
		case !owns && log != nil:
			_ = log.Close(ctx)
			log = nil
		}
		select {
		case <-moved:
		case <-lost:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (n *node) partition() talos.PartitionID { return talos.PartitionID{Topic: n.r.topic.ID} }

func (n *node) open(ctx context.Context) (*partition.Log, error) {
	return partition.Open(ctx, partition.Config{
		Cluster: n.meta.Cluster().ID, Topic: n.r.topic, Store: n.store, Records: n.meta.Record(n.partition()), Logger: quiet,
	})
}

// append stores records, one after the other, and tells whether all were acknowledged.
func (n *node) append(ctx context.Context, log *partition.Log) bool {
	for i := range appendsEach {
		value := fmt.Sprintf("%s-%d-%d", n.id, log.Epoch(), i)
		builder := batch.NewBuilder(&batch.Compressor{})
		builder.Add(&talos.Record{Value: []byte(value)}, time.Now())
		b, err := builder.Build(batch.BuildOptions{ProducerID: batch.NoProducer, FirstSequence: -1})
		if err != nil {
			n.r.breaks("a batch can't be built: %w", err)
			return false
		}
		answered := make(chan bool, 1)
		log.Append(b, func(a partition.Appended, err error) {
			if err == nil {
				n.r.acknowledged(value, a.Base)
			}
			answered <- err == nil
		})
		select {
		case ok := <-answered:
			if !ok {
				return false
			}
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// sessionMayEnd makes the end of the first such node's session an event: etcd has not
// heard of the node, which may be frozen, or go on.
func (n *node) sessionMayEnd() {
	n.r.mu.Lock()
	first := !n.r.ending
	n.r.ending = true
	n.r.mu.Unlock()
	if first {
		n.wg.Go(func() {
			if n.r.waitBehind(context.Background(), "etcd: "+n.id+"'s session ends", endsBehind) != nil {
				return
			}
			n.r.mu.Lock()
			n.r.ended = true
			n.r.mu.Unlock()
			n.kv.EndSessions()
		})
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
