package explore

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing/synctest"

	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
)

// Bounds keeps an exploration finite.
type Bounds struct {
	// Owners start in this order; a name that comes again is a restart.
	Owners []string
	// Appends is how many records each owner is asked to store, one after the
	// other.
	Appends []int
	// Back lets the partition be assigned to the first owner again, once, after the
	// last one has started, while the first one never stopped.
	Back bool
	// Twice sends each record twice at once, as an impatient producer does.
	Twice bool
	// Again makes each owner's client begin with the record that was acknowledged
	// last, as if that answer had been lost.
	Again bool
	// Trim makes the last owner, behind its appends, move the log start to the end
	// that it sees. A minute then passes once, at any moment, so that removals begin.
	Trim bool
	// SegmentBytes of 1 makes each append roll.
	SegmentBytes int64
	// Faults is how many calls may fail or be ambiguous, Late how many of those may
	// take effect later, Crashes how many owners may crash.
	Faults, Late, Crashes int
}

// world is one run: the shared things, and who uses them.
type world struct {
	bounds   Bounds
	store    *mem.Store
	record   talos.PartitionRecord
	assigned *owner
	owners   []*owner
	late     []*call
	files    files
	faults   int
	lates    int
	minutes  int
	back     bool
	crashes  int
	history  history
	// over is true once the final owner has looked.
	over bool

	// committed is the segment of each number that the record's tail reached.
	committed map[talos.SegmentNumber]string
	// removed are the segments that were removed, tooLate those that were created
	// when the log start had passed their number.
	removed, tooLate map[string]bool

	mu sync.Mutex // guards the fields below, and those of history
	// tried are the names that were given to Create.
	tried   map[string]bool
	pending []*call
	next    int32 // the producer's next sequence
}

var topic = talos.Topic{Name: "explored", ID: talos.TopicID{1}, Partitions: 1}

func newWorld(b Bounds) *world {
	return &world{
		bounds: b, store: mem.New(), record: talos.NewPartitionRecord(), history: newHistory(), files: files{},
		committed: map[talos.SegmentNumber]string{}, tried: map[string]bool{},
		removed: map[string]bool{}, tooLate: map[string]bool{},
	}
}

// owner is one process that opens the partition and then stores records for the
// one producer there is.
type owner struct {
	world *world
	name  string
	// appends and trims are what its client will ask for.
	appends int
	trims   bool
	// repeated is true once the client has asked for its first record.
	repeated bool
	// seen is what the owner has observed so far, in order: all that its state
	// depends on.
	seen    []string
	crashed bool
	stop    context.CancelFunc
	done    chan struct{}

	// Set by the owner's goroutine while the explorer waits for it.
	log     *partition.Log
	openErr error
	// checked is true once what Open showed was checked.
	checked bool
}

func (w *world) start(name string) {
	ctx, stop := context.WithCancel(context.Background())
	n := len(w.owners)
	o := &owner{world: w, name: fmt.Sprintf("%s%d", name, n), stop: stop, done: make(chan struct{})}
	if n < len(w.bounds.Owners) { // the final owner only looks
		o.appends, o.trims = w.bounds.Appends[n], w.bounds.Trim && n == len(w.bounds.Owners)-1
	}
	w.owners = append(w.owners, o)
	w.assigned = o
	go o.run(ctx)
}

func (o *owner) run(ctx context.Context) {
	defer close(o.done)
	w := o.world
	t := topic
	t.Config.SegmentBytes = w.bounds.SegmentBytes
	log, err := partition.Open(ctx, partition.Config{
		Cluster: "explored", Topic: t, Store: gatedStore{w.store, o}, Records: gatedRecord{o},
		Logger: slog.New(slog.DiscardHandler),
	})
	o.log, o.openErr = log, err
	if err != nil {
		return
	}
	for i := range o.appends {
		if !o.asked("append", i) || !o.produce() {
			break
		}
	}
	if o.trims && o.asked("trim", o.appends) {
		o.trim(ctx)
	}
	<-ctx.Done()
	// The context is over: the log gives up what it has, as a crash would.
	_ = log.Close(ctx) // that it was given up is what the error says
}

// asked waits until the client asks for the i-th thing.
func (o *owner) asked(what string, i int) bool {
	return i == 0 || o.wait(askNext, what, func() (string, error) { return "", nil }) == nil
}

// produce sends the record that is to be stored next, which an earlier owner may
// have stored without saying so, and waits for the answer.
func (o *owner) produce() bool {
	w := o.world
	w.mu.Lock()
	sequence := w.next
	if w.bounds.Again && !o.repeated && sequence > 0 {
		sequence--
	}
	o.repeated = true
	o.seen = append(o.seen, fmt.Sprintf("asked for %d", sequence))
	w.mu.Unlock()
	times := 1
	if w.bounds.Twice {
		times = 2
	}
	answered := make(chan bool, times)
	for range times {
		o.send(sequence, answered)
	}
	ok := true
	for range times {
		ok = <-answered && ok
	}
	return ok
}

func (o *owner) send(sequence int32, answered chan<- bool) {
	w := o.world
	o.log.Append(recordBatch(sequence), func(a partition.Appended, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if err == nil && !o.crashed {
			w.history.acknowledge(sequence, a.Base, o.name)
			w.next = max(w.next, sequence+1)
		}
		o.seen = append(o.seen, fmt.Sprintf("answered %d %v", a.Base, talos.KindOf(err)))
		answered <- err == nil
	})
}

// trim asks for as much as the owner may.
func (o *owner) trim(ctx context.Context) {
	w := o.world
	end := o.log.Range().End
	w.mu.Lock()
	w.history.trimmed = max(w.history.trimmed, end)
	o.seen = append(o.seen, fmt.Sprintf("trims to %d", end))
	w.mu.Unlock()
	err := o.log.Trim(ctx, end)
	w.mu.Lock()
	o.seen = append(o.seen, fmt.Sprintf("trimmed %v", err == nil))
	w.mu.Unlock()
}

func (w *world) enter(c *call) {
	w.mu.Lock()
	if !c.owner.crashed {
		w.pending = append(w.pending, c)
		w.mu.Unlock()
		return
	}
	w.mu.Unlock()
	go c.reply(errCrashed)
}

// dropAppends fails the appends to one segment that wait at the gate.
func (w *world) dropAppends(o *owner, name string) {
	w.mu.Lock()
	var dropped []*call
	w.pending = slices.DeleteFunc(w.pending, func(c *call) bool {
		mine := c.owner == o && c.verb == doAppend && strings.HasPrefix(c.label, name+" ")
		if mine {
			dropped = append(dropped, c)
		}
		return mine
	})
	w.mu.Unlock()
	for _, c := range dropped {
		c.reply(errFault)
	}
}

// crash stops an owner in its tracks. Changes that it had under way may still
// take effect.
func (w *world) crash(o *owner) {
	w.mu.Lock()
	o.crashed = true
	var waiting []*call
	w.pending = slices.DeleteFunc(w.pending, func(c *call) bool {
		if c.owner == o {
			waiting = append(waiting, c)
		}
		return c.owner == o
	})
	w.mu.Unlock()
	for _, c := range waiting {
		if c.verb.canBeLate() {
			w.late = append(w.late, c)
		}
		c.reply(errCrashed)
	}
	o.stop()
	synctest.Wait()
	<-o.done
}

// close ends all owners, so that the bubble can end.
func (w *world) close() {
	for _, o := range w.owners {
		if !o.crashed {
			w.crash(o)
		}
	}
}
