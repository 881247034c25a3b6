package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/history"
	"github.com/talos-log/talos/test/load"
	"github.com/talos-log/talos/test/scene"
)

const (
	// minAcks and minFaults are what makes a history count.
	minAcks   = 1000
	minFaults = 3
	// ratePerProducer is how many records each producer sends in a second: enough for
	// something to be in flight, little enough to keep a history small.
	ratePerProducer = 100
	window          = 64
	plainProducers  = 2
)

// Plan is what a seed chose: how a history goes.
type Plan struct {
	Seed  uint64
	Store StoreKind
	// Members of etcd.
	Members int
	// Steps are the faults, one after the other; two of one step happen at once.
	Steps [][]Fault
}

// Outcome is what came of a history.
type Outcome struct {
	Plan
	Acks int
	// Felt says of each fault that took effect how that was seen, Unfelt names the
	// others.
	Felt, Unfelt []string
	Anomalies    []history.Anomaly
	Took         time.Duration
	// Done: it went to its end.
	Done bool
}

// Counts tells whether a history says anything.
func (o *Outcome) Counts() bool { return o.Done && o.Acks >= minAcks && len(o.Felt) >= minFaults }

// Run plays a history: cfg says what is the same for all, seed chooses the rest.
// The outcome is written while it goes on, so that a failure leaves what was.
func Run(t *testing.T, cfg Config, seed uint64, faults []Fault, out *Outcome) {
	t.Helper()
	begun := time.Now()
	defer func() { out.Took = time.Since(begun) }()
	rng := rand.New(rand.NewPCG(seed, 0))
	if cfg.Members == 0 {
		cfg.Members = 1 + 2*rng.IntN(2)
	}
	out.Seed, out.Store, out.Members = seed, cfg.Store, cfg.Members
	w := New(t, cfg, rng)
	w.Use(load.Plan{
		Codecs: scene.Codecs(), Plain: plainProducers, Window: window, Rate: ratePerProducer, Expected: w.expected,
	})
	defer func() { out.Acks = w.History.Acks() }()
	out.Steps = choose(rng, Possible(w, faults))
	for _, step := range out.Steps {
		w.step(step, out)
	}
	w.await("too little is acknowledged", func(context.Context) bool { return w.History.Acks() >= minAcks })
	out.Anomalies = w.Judge()
	out.Done = true
}

// expected tells whether producers may meet an error: that a process which stands
// still holds the segments of a local folder, until an operator ends it.
func (w *World) expected(err error) bool {
	return w.Config.Store == Local && errors.Is(err, talos.StoreInUse)
}

// choose draws the steps: three to five, each another fault while there are, and
// some of them with a second one in the middle.
func choose(rng *rand.Rand, of []Fault) [][]Fault {
	of = slices.Clone(of)
	rng.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	var within []Fault
	for _, f := range of {
		if f.within {
			within = append(within, f)
		}
	}
	var steps [][]Fault
	for i := range 3 + rng.IntN(3) {
		step := []Fault{of[i%len(of)]}
		if len(within) > 0 && rng.IntN(3) == 0 {
			step = append(step, within[rng.IntN(len(within))])
		}
		steps = append(steps, step)
	}
	return steps
}

// step lets one or two faults happen, and waits until everything is as it was.
func (w *World) step(faults []Fault, out *Outcome) {
	w.T.Helper()
	w.T.Logf("begins: %s", names(faults))
	first := faults[0].begin(w)
	if len(faults) > 1 {
		second := faults[1].begin(w)
		w.pass(w.between(time.Millisecond, w.Config.Lease))
		second.heal()
		// Whether it was felt can't be told from the first one.
		out.Unfelt = append(out.Unfelt, faults[1].Name)
	}
	w.note(faults[0], first.felt(), out)
	first.heal()
	since := w.History.Now()
	w.AwaitServed(since)
}

func (w *World) note(f Fault, seen string, out *Outcome) {
	if seen == "" {
		out.Unfelt = append(out.Unfelt, f.Name)
		w.T.Logf("%s: nothing was seen of it", f.Name)
		return
	}
	out.Felt = append(out.Felt, fmt.Sprintf("%s: %s", f.Name, seen))
	w.T.Logf("%s: %s", f.Name, seen)
}

func names(faults []Fault) string {
	text := ""
	for i, f := range faults {
		if i > 0 {
			text += "+"
		}
		text += f.Name
	}
	return text
}
