package clusterbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Plan says how much is measured.
type Plan struct {
	// Binary is the path of the program.
	Binary string
	// Only names the figures; none means all.
	Only []string
	// Stores are where segments go, one after the other.
	Stores []StoreKind
	// Nodes is how many there are, and Lease how long a node that says nothing keeps
	// its partitions.
	Nodes int
	Lease time.Duration
	// WarmUp is how long a figure's load, or its absence, lasts before anything is
	// counted.
	WarmUp time.Duration
	// Rate is how many records all producers together send in a second, of
	// recordBytes each, and Partitions how many the topic under load has.
	Rate       int
	Partitions int32
	// Moves is how many partitions move, one after the other.
	Moves int
	// DrainPartitions is how many the node has, more or less, that is drained.
	DrainPartitions int32
	// Kills is how often a node is killed, and comes back.
	Kills int
	// Away is how long a node stays away in a restart.
	Away time.Duration
	// IdlePartitions lie idle for Idle.
	IdlePartitions int32
	Idle           time.Duration
	// TailPartitions have TailBytes each in segments that nobody ended. A store with
	// replicas gets fewer of them, so that no more than maxTails is written.
	TailPartitions int32
	TailBytes      int64
}

// FullPlan is that of `make cluster-figures`.
func FullPlan() Plan {
	return Plan{
		Stores: []StoreKind{Local}, Nodes: 3, Lease: 3 * time.Second, WarmUp: 3 * time.Second,
		Rate: 5000, Partitions: 12, Moves: 200, DrainPartitions: 500, Kills: 5, Away: 5 * time.Second,
		IdlePartitions: 10_000, Idle: 30 * time.Second, TailPartitions: 300, TailBytes: 50 << 20,
	}
}

// figure measures one thing in a cluster that does nothing yet.
type figure struct {
	name string
	run  func(ctx context.Context, l *lab) error
}

func figures() []figure {
	return []figure{
		{"move", moves}, {"drain", drain}, {"kill", kills}, {"restart", restart}, {"idle", idle}, {"takeover", takeover},
	}
}

// Figures are the names of all of them, in their order.
func Figures() []string {
	var names []string
	for _, f := range figures() {
		names = append(names, f.name)
	}
	return names
}

// Validate names what can't be measured.
func (p Plan) Validate() error {
	for _, name := range p.Only {
		if !slices.Contains(Figures(), name) {
			return fmt.Errorf("there is no figure %q, but %s", name, strings.Join(Figures(), ", "))
		}
	}
	for _, kind := range p.Stores {
		if !slices.Contains(storeKinds(), kind) {
			return fmt.Errorf("there is no store %q, but %v", kind, storeKinds())
		}
	}
	if min(p.Nodes, p.Rate, p.Moves, p.Kills) < 1 || min(p.Partitions, p.DrainPartitions, p.IdlePartitions, p.TailPartitions) < 1 ||
		p.TailBytes < 1 || min(p.Lease, p.Idle, p.Away) <= 0 {
		return fmt.Errorf("there must be something to measure, so all numbers are above 0: %+v", p)
	}
	return nil
}

// Run measures, and says on words how it goes on. The report has what was measured
// before an error, too.
func Run(ctx context.Context, p Plan, words io.Writer) (r Report, err error) {
	if err := p.Validate(); err != nil {
		return r, err
	}
	scratch, err := os.MkdirTemp("", "talos-cluster-figures-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	for _, kind := range p.Stores {
		if err := runOn(ctx, p, kind, filepath.Join(scratch, string(kind)), &r, words); err != nil {
			return r, err
		}
	}
	return r, nil
}

// runOn measures on one store.
func runOn(ctx context.Context, p Plan, kind StoreKind, scratch string, r *Report, words io.Writer) (err error) {
	b, err := openBacking(ctx, kind, scratch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, f := range figures() {
		if len(p.Only) > 0 && !slices.Contains(p.Only, f.name) {
			continue
		}
		if err := measure(ctx, p, b, f, filepath.Join(scratch, f.name), r, words); err != nil {
			return fmt.Errorf("%s on %s: %w", f.name, kind, err)
		}
	}
	return nil
}

// measure runs a figure in a cluster that goes with it.
func measure(ctx context.Context, p Plan, b *backing, f figure, scratch string, r *Report, words io.Writer) (err error) {
	l, err := openLab(ctx, p, b, f.name, scratch)
	if err != nil {
		return err
	}
	l.words = words
	l.say("begins")
	err = f.run(ctx, l)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, l.tails())
	}
	r.Results = append(r.Results, l.results...)
	return errors.Join(err, l.close(), os.RemoveAll(scratch))
}
