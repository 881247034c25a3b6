package leases

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/talos-log/talos/coordinator"
	coordinatormem "github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
)

// mutant is a cluster without one of the things that keep it right.
type mutant int

const (
	sound mutant = iota
	noFencing
	// noElection: a scheduler's writes do not rest on its election.
	noElection
)

// maxSteps bounds a run; one that is not done by then counts as stuck. maxSeconds is
// how long nothing may have to happen.
const (
	maxSteps   = 2000
	maxSeconds = 120
)

// scene is what all runs of a search have in common.
type scene struct {
	mutant mutant
	// topic decides which node owns the partition first.
	topic talos.TopicID
	// scheduler: it is the first scheduler's session that ends, not the first owner's.
	scheduler bool
}

// event is something that may happen next.
type event struct {
	label string
	of    string // the node, or etcd
	since int    // the step in which it came
	held  bool   // until nothing else can happen
	goes  chan struct{}
}

// run is one order of events.
type run struct {
	scene
	kv    *coordinatormem.KV
	store storage.Store
	topic talos.Topic
	nodes []*node

	mu      sync.Mutex // guards the fields below; never held while waiting
	step    int
	pending []*event
	frozen  string // the node that is; empty for none
	over    bool
	acked   map[string]talos.Offset
	// ending: the end of somebody's session is an event; ended: it has come.
	ending, ended bool
	// finished: an owner has stored all that it was asked for, one that came after the
	// end if it was the owner's.
	finished bool
	broken   error
	way      []string
}

// play runs the choices, and then the oldest first. It returns how many there were to
// choose from at each step, and what was broken.
func play(c scene, choices []int) (widths []int, r *run) {
	r = &run{
		scene: c, kv: coordinatormem.New(), store: mem.New(), acked: make(map[string]talos.Offset),
		topic: talos.Topic{Name: "logs", ID: c.topic, Partitions: 1},
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.createTopic(ctx)
	for _, id := range []string{"a", "b"} {
		r.nodes = append(r.nodes, r.startNode(ctx, id))
	}
	for seconds := 0; len(widths) < maxSteps; {
		synctest.Wait()
		now := r.options()
		if r.done() {
			break
		}
		if len(now) == 0 {
			if seconds++; seconds > maxSeconds {
				r.breaks("stuck: nothing happens any more")
				break
			}
			<-time.After(time.Second)
			continue
		}
		choice := 0
		if len(widths) < len(choices) {
			choice = choices[len(widths)]
		}
		widths = append(widths, len(now)+2)
		switch {
		case choice < len(now):
			r.choose(now[choice])
		case choice == len(now):
			r.holdBack(now[0])
		default:
			r.freeze(now[0].of)
		}
	}
	r.end(cancel)
	if r.broken == nil {
		r.checkStore()
	}
	return widths, r
}

// wait makes something an event, and returns when it was chosen.
func (r *run) wait(ctx context.Context, label string) error { return r.waitBehind(ctx, label, 0) }

// waitBehind does so for one that counts as younger, by some steps.
func (r *run) waitBehind(ctx context.Context, label string, steps int) error {
	r.mu.Lock()
	if r.over {
		r.mu.Unlock()
		return nil
	}
	of, _, _ := strings.Cut(label, ":")
	e := &event{label: label, of: of, since: r.step + steps, goes: make(chan struct{})}
	r.pending = append(r.pending, e)
	r.mu.Unlock()
	select {
	case <-e.goes:
		return nil
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pending = slices.DeleteFunc(r.pending, func(p *event) bool { return p == e })
		return &talos.Error{Kind: talos.KindOf(ctx.Err()), Op: "leases.wait", Cause: ctx.Err()}
	}
}

// options are the events that may be next, oldest first.
func (r *run) options() []*event {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortStableFunc(r.pending, func(a, b *event) int {
		return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.label, b.label))
	})
	free := slices.DeleteFunc(slices.Clone(r.pending), func(e *event) bool { return e.held || e.of == r.frozen })
	if len(free) > 0 {
		return free
	}
	// What was held back goes now; a frozen node goes on.
	r.frozen = ""
	for _, e := range r.pending {
		e.held = false
	}
	return slices.Clone(r.pending)
}

// holdBack lets everything else go before an event.
func (r *run) holdBack(e *event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.way = append(r.way, "(held back) "+e.label)
	e.held = true
}

// freeze lets everything else go before what is, or will be, of one node.
func (r *run) freeze(node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.way = append(r.way, "(frozen) "+node)
	r.frozen = node
}

func (r *run) choose(e *event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.step++
	r.way = append(r.way, e.label)
	r.pending = slices.DeleteFunc(r.pending, func(p *event) bool { return p == e })
	close(e.goes)
}

// done tells whether all that was to be done is, or something is broken.
func (r *run) done() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broken != nil || r.finished && len(r.pending) == 0
}

// end lets everything go that waits, and ends the nodes.
func (r *run) end(cancel context.CancelFunc) {
	r.mu.Lock()
	r.over = true
	for _, e := range r.pending {
		close(e.goes)
	}
	r.pending = nil
	r.mu.Unlock()
	cancel()
	for _, n := range r.nodes {
		n.meta.Close()
		n.wg.Wait()
	}
}

func (r *run) breaks(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken == nil {
		r.broken = fmt.Errorf(format, args...)
	}
}

func (r *run) acknowledged(value string, offset talos.Offset) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked[value] = offset
}

// firstOwner tells whether no session has ended yet.
func (r *run) firstOwner() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.ended
}

func (r *run) finishes() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished = true
}

func (r *run) createTopic(ctx context.Context) {
	admin, err := coordinator.Open(ctx, r.kv.Handle(), coordinator.Node{ID: "admin", Address: "admin:1"}, quiet)
	if err == nil {
		err = admin.CreateTopic(ctx, r.topic, nil)
		admin.Close()
	}
	if err != nil {
		r.breaks("the topic can't be made: %w", err)
	}
}
