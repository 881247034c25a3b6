package model

import (
	"context"
	"errors"
	"maps"
	"sync"

	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/talos"
)

// The calls of the record that can fail, beside those of the store.
const (
	Raise      faulty.Op = "raise"
	ReadRecord faulty.Op = "read the record"
	Swap       faulty.Op = "swap"
)

// ErrInjected is what a call that is made to fail fails of.
var ErrInjected = errors.New("injected fault")

// Faults are what will befall the calls of one node. The zero value is none. It
// may be used concurrently.
type Faults struct {
	mu      sync.Mutex // guards the fields below
	armed   []armed
	met     map[faulty.Op]int
	release chan struct{} // closed when calls that hang may go on; nil if none hangs
}

type armed struct {
	op    faulty.Op
	skip  int
	fault faulty.Fault
}

// Arm makes the call of a sort after the next skip ones fail.
func (f *Faults) Arm(op faulty.Op, skip int, fault faulty.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = append(f.armed, armed{op, skip, fault})
}

// Hold makes the next call of a sort hang, before or after it takes effect, until
// Clear.
func (f *Faults) Hold(op faulty.Op, after bool) {
	f.mu.Lock()
	if f.release == nil {
		f.release = make(chan struct{})
	}
	hang := faulty.Hang(f.release)
	f.mu.Unlock()
	fault := faulty.Fault{Before: hang}
	if after {
		fault = faulty.Fault{After: hang}
	}
	f.Arm(op, 0, fault)
}

// Clear takes all faults back, and lets go on what hangs.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = nil
	if f.release != nil {
		close(f.release)
		f.release = nil
	}
}

// Fired is how many calls were made to fail or hang so far.
func (f *Faults) Fired() (all int) {
	for _, n := range f.Met() {
		all += n
	}
	return all
}

// Met is how many calls of each sort were made to fail or hang so far.
func (f *Faults) Met() map[faulty.Op]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.met)
}

// Holding tells whether calls may hang.
func (f *Faults) Holding() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.release != nil
}

func (f *Faults) take(op faulty.Op) faulty.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.armed {
		switch a := &f.armed[i]; {
		case a.op != op:
		case a.skip > 0:
			a.skip--
			return faulty.Fault{}
		default:
			fault := a.fault
			f.armed = append(f.armed[:i:i], f.armed[i+1:]...)
			if f.met == nil {
				f.met = map[faulty.Op]int{}
			}
			f.met[op]++
			return fault
		}
	}
	return faulty.Fault{}
}

// Store is a store as the node sees it.
func (f *Faults) Store(inner storage.Store) storage.Store {
	return faulty.New(inner, func(c faulty.Call) faulty.Fault { return f.take(c.Op) })
}

// Record is a partition's record in memory, shared by nodes.
type Record struct {
	mu       sync.Mutex // guards the fields below
	record   talos.PartitionRecord
	assigned string
}

// NewRecord returns the record of a partition that nobody opened yet.
func NewRecord() *Record { return &Record{record: talos.NewPartitionRecord()} }

// Assign says which node may raise the epoch.
func (r *Record) Assign(node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.assigned = node
}

// Now returns the record.
func (r *Record) Now() talos.PartitionRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record
}

// As is the record as a node sees it.
func (r *Record) As(node string, f *Faults) partition.Records { return nodeRecord{r, node, f} }

type nodeRecord struct {
	shared *Record
	node   string
	faults *Faults
}

func (n nodeRecord) Raise(ctx context.Context) (record talos.PartitionRecord, err error) {
	err = n.call(ctx, Raise, func() error {
		if n.shared.assigned != n.node {
			return &talos.Error{Kind: talos.NotOwner, Op: "model.Raise"}
		}
		n.shared.record.Epoch++
		record = n.shared.record
		return nil
	})
	return record, err
}

func (n nodeRecord) Read(ctx context.Context) (record talos.PartitionRecord, err error) {
	err = n.call(ctx, ReadRecord, func() error { record = n.shared.record; return nil })
	return record, err
}

func (n nodeRecord) Swap(ctx context.Context, old, next talos.PartitionRecord) error {
	return n.call(ctx, Swap, func() error {
		if n.shared.record != old {
			return &talos.Error{Kind: talos.NotOwner, Op: "model.Swap"}
		}
		n.shared.record = next
		return nil
	})
}

func (n nodeRecord) call(ctx context.Context, op faulty.Op, do func() error) error {
	fault := n.faults.take(op)
	if err := step(ctx, op, fault.Before); err != nil {
		return err
	}
	n.shared.mu.Lock()
	err := do()
	n.shared.mu.Unlock()
	if err != nil {
		return err
	}
	return step(ctx, op, fault.After)
}

func step(ctx context.Context, op faulty.Op, s faulty.Step) error {
	err := ctx.Err()
	if err == nil && s != nil {
		err = s(ctx)
	}
	if err == nil {
		return nil
	}
	return &talos.Error{Kind: talos.MetaUnavailable, Op: "model: " + string(op), Cause: err}
}
