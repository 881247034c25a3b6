package simulate

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/talos-log/talos/coordinator"
	coordinatormem "github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/history"
)

// Mutant is a cluster without one of the things that keep the log right.
type Mutant int

// The mutants.
const (
	// Sound is none.
	Sound Mutant = iota
	// NoFencing: the store's Recover stops nobody.
	NoFencing
	// NoLeaseMargin: a host believes in its session until etcd says that it is over.
	NoLeaseMargin
	// NoDeduplication: partitions don't know producers.
	NoDeduplication
	// IgnoresEpochs: a host does not look at the epochs that clients have seen.
	IgnoresEpochs
	// SaysOnce: a host does not repeat that it is unfit, or fit, when it had no answer.
	SaysOnce
	// CountsBefore: topics are counted before one is made, not as it is made.
	CountsBefore
	// TrimsMore: a partition's start is moved farther than somebody wanted.
	TrimsMore
)

// Config is one simulation.
type Config struct {
	Seed   uint64
	Mutant Mutant
	Logger *slog.Logger
}

// Result is what became of it.
type Result struct {
	// Anomalies are those of the history, and what else must not be.
	Anomalies []string
	// Acks is how many records were acknowledged.
	Acks int
	// Counts has how often something happened.
	Counts map[string]int
}

// noFaults are the counts of what is as it should be.
var noFaults = []string{"opened", "handover", "topic created", "topic altered", "topic deleted", "trim"}

// Faults is how many faults took effect.
func (r Result) Faults() int {
	sum := 0
	for what, n := range r.Counts {
		if !slices.Contains(noFaults, what) {
			sum += n
		}
	}
	return sum
}

const (
	hosts      = 3
	partitions = 4
	mainTopic  = 0xff
	producers  = 3
	readers    = 2
	// A simulation's clients must be done so long after the last fault.
	patience = 10 * time.Minute
)

// world is one simulation.
type world struct {
	mutant Mutant
	logger *slog.Logger
	kv     *coordinatormem.KV
	store  *mem.Store
	tails  *partition.Tails
	main   *subject
	admin  *coordinator.Meta

	// late are the commits that nobody waits for.
	late sync.WaitGroup

	mu        sync.Mutex // guards the fields below; never held while waiting
	rng       *rand.Rand
	hosts     map[string]*host
	busy      map[string]bool
	counts    map[string]int
	anomalies []string
	// trouble is how likely a commit goes wrong.
	trouble float64
	gaveUp  bool
}

// newSubject makes a topic, and nobody has seen anything of it yet.
func newSubject(name talos.TopicName, id byte, partitions int32) *subject {
	return &subject{
		topic: talos.Topic{
			Name: name, ID: talos.TopicID{14: id, 15: 7}, Partitions: partitions, Config: talos.TopicConfig{SegmentBytes: talos.MinSegmentBytes},
		},
		history: history.New(),
	}
}

// Run simulates. It must be called in a bubble of testing/synctest.
func Run(ctx context.Context, cfg Config) (Result, error) {
	w := &world{
		mutant: cfg.Mutant, logger: cfg.Logger, kv: coordinatormem.New(), store: mem.New(), tails: partition.NewTails(0),
		rng:   rand.New(rand.NewPCG(cfg.Seed, 1)), //nolint:gosec // it must be repeatable
		hosts: make(map[string]*host), busy: make(map[string]bool), counts: make(map[string]int),
		main: newSubject("logs", mainTopic, partitions),
	}
	if w.logger == nil {
		w.logger = slog.New(slog.DiscardHandler)
	}
	var err error
	w.admin, err = coordinator.Open(ctx, w.kv.Handle(), coordinator.Node{ID: "admin", Address: "admin:1"}, w.logger)
	if err != nil {
		return Result{}, err
	}
	defer w.admin.Close()
	if err := w.admin.CreateTopic(ctx, w.main.topic, nil); err != nil {
		return Result{}, err
	}
	for i := range hosts {
		w.start(fmt.Sprintf("host-%d", i))
	}
	w.load(ctx)
	for _, id := range w.ids() {
		w.host(id).end()
	}
	w.late.Wait()
	// Whoever is dead, its sessions still end.
	sleep(2 * timeToLive)
	return Result{Anomalies: w.anomalies, Acks: w.main.history.Acks(), Counts: w.counts}, nil
}

// load lets clients work while things go wrong, and then reads everything.
func (w *world) load(ctx context.Context) {
	var writing, reading sync.WaitGroup
	readingCtx, stop := context.WithCancel(ctx)
	for i := range producers {
		writing.Go(func() { w.newProducer(w.main, i).run(ctx, batches, partitions) })
	}
	for i := range readers {
		reading.Go(func() { w.newReader(w.main, fmt.Sprintf("reader-%d", i)).run(readingCtx, partitions) })
	}
	reading.Go(func() { w.trims(readingCtx, w.main, partitions) })
	writing.Go(func() { w.live(ctx) })
	w.misfortune(ctx)
	finished := make(chan struct{})
	go func() {
		writing.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(patience):
		w.anomaly("stuck", "producers are not done %v after the last fault", patience)
	}
	stop()
	reading.Wait()
	w.giveUp()
	<-finished
	w.readAll(ctx, w.main)
	w.settle()
}

// giveUp makes producers that are not done end.
func (w *world) giveUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gaveUp = true
}

func (w *world) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gaveUp
}

func (w *world) start(id string) {
	h := w.newHost(id)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts[id] = h
}

func (w *world) host(id string) *host {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hosts[id]
}

func (w *world) ids() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := make([]string, 0, len(w.hosts))
	for id := range w.hosts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// owner asks some host who owns a partition; nil if that is not known.
func (w *world) owner(id talos.PartitionID) *host {
	ids := w.ids()
	asked := w.host(ids[w.int(len(ids))])
	meta := asked.opener()
	if meta == nil || asked.gate.isDead() || asked.gate.isFrozen() {
		return nil
	}
	return w.host(meta.View().Owner(id).Owner)
}

func (w *world) float() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.Float64()
}

// fate draws what befalls a call, and returns how likely trouble is now.
func (w *world) fate() (p, trouble float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.Float64(), w.trouble
}

func (w *world) int(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(n)
}

// within returns a time from least on, and below most.
func (w *world) within(least, most time.Duration) time.Duration {
	return least + time.Duration(w.int(int(most-least)))
}

// sleep lets virtual time pass.
func sleep(d time.Duration) { <-time.After(d) }

func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

func (w *world) anomaly(kind, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.anomalies = append(w.anomalies, kind+": "+fmt.Sprintf(format, args...))
}
