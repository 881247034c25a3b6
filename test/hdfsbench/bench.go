package hdfsbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/process"
)

// Plan says how much is measured.
type Plan struct {
	// Rounds is how often each side has two legs of each workload.
	Rounds int
	// Leg is how long a leg of appends lasts, and Warmup how long each side appends
	// before anything is counted.
	Leg, Warmup time.Duration
	// StreamBytes is what a leg of streaming sends, at most 100 MiB: a block has 128.
	StreamBytes int64
	// Opens is how many segments a leg of opening opens.
	Opens int
	// Settle is how long appends go on before and after a DataNode's kill.
	Settle time.Duration
	// Only names the workloads; none means all.
	Only []string
}

// FullPlan is that of `make hdfs-figures`.
func FullPlan() Plan {
	return Plan{
		Rounds: 7, Leg: 1500 * time.Millisecond, Warmup: 12 * time.Second,
		StreamBytes: 96 << 20, Opens: 30, Settle: 2 * time.Second,
	}
}

// Workloads are the names of all of them, in their order.
func Workloads() []string {
	var names []string
	for _, w := range workloads() {
		names = append(names, w.name)
	}
	return names
}

// bench is the two sides over one HDFS.
type bench struct {
	plan    Plan
	cluster *hadoop.Cluster
	sides   [2]side
	words   io.Writer
	kills   int
}

// side is one of the two.
type side struct {
	name   string
	client client
	// pid is the client's process.
	pid int
}

// Run measures on a running HDFS of three DataNodes, and says on words how it
// goes on.
func Run(ctx context.Context, c *hadoop.Cluster, p Plan, words io.Writer) (r Report, err error) {
	for _, name := range p.Only {
		if !slices.Contains(Workloads(), name) {
			return r, fmt.Errorf("there is no workload %q, but %s", name, strings.Join(Workloads(), ", "))
		}
	}
	scratch, err := os.MkdirTemp("", "talos-figures-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	hadoops, err := openPeer(c, scratch)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, hadoops.close()) }()
	ours, err := openTalos(ctx, c.URL())
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, ours.close()) }()
	b := &bench{plan: p, cluster: c, words: words, sides: [2]side{{"Talos", ours, os.Getpid()}, {"Hadoop", hadoops, hadoops.cmd.Process.Pid}}}
	r.Begun, r.LoadBefore = time.Now(), process.LoadAverage()
	if err := b.warmUp(ctx); err != nil {
		return r, err
	}
	for _, w := range workloads() {
		if len(p.Only) > 0 && !slices.Contains(p.Only, w.name) {
			continue
		}
		results, err := b.measure(ctx, w)
		if err != nil {
			return r, fmt.Errorf("%s: %w", w.name, err)
		}
		r.Figures = append(r.Figures, results...)
	}
	r.LoadAfter = process.LoadAverage()
	return r, nil
}

func (b *bench) say(format string, args ...any) {
	// What can't be said is no reason to end.
	_, _ = fmt.Fprintf(b.words, format+"\n", args...)
}

// warmUp lets both sides append, so that the JVMs, also those of HDFS, have
// compiled what they run most.
func (b *bench) warmUp(ctx context.Context) error {
	for _, s := range b.sides {
		for _, l := range []load{{files: 1, size: appendBytes, lasts: b.plan.Warmup / 2}, {files: 16, size: appendBytes, lasts: b.plan.Warmup / 4}, {files: 1, size: appendBytes, sync: true, lasts: b.plan.Warmup / 4}} {
			if _, err := s.client.append(ctx, l); err != nil {
				return fmt.Errorf("%s, warming up: %w", s.name, err)
			}
		}
	}
	return nil
}

// slowRounds is the most rounds of a workload whose legs take long.
const slowRounds = 3

// measure runs the legs of a workload in turns.
func (b *bench) measure(ctx context.Context, w workload) ([]Result, error) {
	var legs [2][2][]outcome // by side, then by half
	rounds := b.plan.Rounds
	if w.slow {
		rounds = min(rounds, slowRounds)
	}
	for round := range rounds + 1 {
		order := []int{0, 1}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for half := range 2 {
			for _, i := range order {
				s := b.sides[i]
				o, err := b.leg(ctx, w, s)
				if err != nil {
					return nil, fmt.Errorf("%s, round %d: %w", s.name, round, err)
				}
				b.say("%s, round %d of %d, %s:%s", w.name, round, rounds, s.name, w.values(o))
				if round > 0 { // the one before the first is not counted
					legs[i][half] = append(legs[i][half], o)
				}
			}
			if round == 0 {
				break
			}
		}
	}
	var results []Result
	for _, f := range w.figures {
		results = append(results, f.result(legs))
	}
	return results, nil
}

// leg runs a workload on one side.
func (b *bench) leg(ctx context.Context, w workload, s side) (o outcome, err error) {
	// What legs before this one left for the kernel to write is not this one's.
	syscall.Sync()
	client, machine, err := used(s.pid)
	if err != nil {
		return o, err
	}
	if o, err = w.run(ctx, s.client, b); err != nil {
		return o, err
	}
	clientThen, machineThen, err := used(s.pid)
	o.client, o.machine = clientThen-client, machineThen-machine
	return o, err
}

// used is the processor time of a process, and of the whole machine, so far.
func used(pid int) (client, machine time.Duration, err error) {
	if client, err = process.ProcessorTime(pid); err != nil {
		return 0, 0, err
	}
	machine, err = process.MachineTime()
	return client, machine, err
}

// values are a leg's figures, for people who wait.
func (w workload) values(o outcome) string {
	var text strings.Builder
	for _, f := range w.figures {
		fmt.Fprintf(&text, " %.4g %s", f.value(o), f.unit)
	}
	return text.String()
}

// killed kills a DataNode while a client appends, and starts it again afterwards.
func (b *bench) killed(ctx context.Context, c client) (o outcome, err error) {
	victim := b.cluster.DataNodes()[b.kills%len(b.cluster.DataNodes())]
	b.kills++
	defer func() { err = errors.Join(err, b.cluster.Heal(ctx)) }()
	return c.gap(ctx, func() error {
		if err := pass(ctx, b.plan.Settle); err != nil {
			return err
		}
		if err := victim.Crash(); err != nil {
			return err
		}
		return pass(ctx, b.plan.Settle)
	})
}

func pass(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
