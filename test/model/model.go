package model

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
)

// Model is the list, and what was promised so far. Its methods may be called
// concurrently.
type Model struct {
	// answered has room for one signal: an attempt has got its answer.
	answered chan struct{}
	// retention is how long records stay, retained how many bytes; 0 is no limit.
	retention time.Duration
	retained  int64

	mu        sync.Mutex // guards the fields below
	batches   []*Batch
	producers int
	owners    []*Owner
	// placed are the batches that are known to be stored, by base offset.
	placed []*Batch
	// asked is the highest offset that anybody asked to trim to, done the highest
	// that was trimmed to.
	asked, done talos.Offset
	waiting     int // attempts without an answer
	breach      error
	counts      map[string]int
}

// Owner is one opening of the partition that succeeded.
type Owner struct {
	Log *partition.Log
	// Name is for messages.
	Name string

	index int
	end   talos.Offset // when it was opened

	// The fields below are guarded by the Model's lock.

	last    talos.OffsetRange // as it was looked at last
	waiting int               // attempts without an answer
}

func (o *Owner) String() string { return fmt.Sprintf("owner %d (%s)", o.index, o.Name) }

// New returns the model of an empty partition of a topic that lets records go as
// its configuration says.
func New(config talos.TopicConfig) *Model {
	return &Model{retention: config.Retention(), retained: config.RetentionBytes, answered: make(chan struct{}, 1), counts: map[string]int{}}
}

// Breach returns the first promise that was broken.
func (m *Model) Breach() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.breach
}

func (m *Model) breaks(format string, args ...any) {
	if m.breach == nil {
		m.breach = fmt.Errorf(format, args...)
	}
}

// Count counts something that happened, for the report.
func (m *Model) Count(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[what]++
}

// Counts returns what happened how often.
func (m *Model) Counts() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.counts)
}

// Waiting is how many attempts have no answer yet; with an owner, how many of its.
func (m *Model) Waiting(o *Owner) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o != nil {
		return o.waiting
	}
	return m.waiting
}

// Answered has a signal after an attempt got its answer.
func (m *Model) Answered() <-chan struct{} { return m.answered }

// Opened notes a new owner. Openings must not overlap. What it shows is Look's
// to say.
func (m *Model) Opened(name string, log *partition.Log) *Owner {
	m.mu.Lock()
	defer m.mu.Unlock()
	rng := log.Range()
	o := &Owner{Log: log, Name: name, index: len(m.owners), end: rng.End, last: rng}
	m.owners = append(m.owners, o)
	if n := len(m.placed); n > 0 && m.placed[n-1].next() > rng.End {
		m.breaks("%v ends at %d, without %v at %d", o, rng.End, m.placed[n-1], m.placed[n-1].base)
	}
	if rng.Start < m.done {
		m.breaks("%v starts at %d, it was trimmed to %d before", o, rng.Start, m.done)
	}
	m.inspect(o)
	return o
}

// OpenFailed notes that an opening failed.
func (m *Model) OpenFailed(name string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch kind := talos.KindOf(err); kind {
	case talos.NotOwner, talos.StoreUnavailable, talos.MetaUnavailable, talos.Timeout, talos.Canceled:
		m.counts["opening failed: "+string(kind)]++
	default:
		m.breaks("%s can't open the partition (%s): %w", name, kind, err)
	}
}

// attempt is one sending of a batch to an owner.
type attempt struct {
	batch *Batch
	owner *Owner
	// again: it was sent before, to anybody. stored: the owner must have it.
	// follows: the owner must have the producer's batch before it, or it is the
	// first.
	again, stored, follows bool
	answered               bool
}

// Send sends a batch to an owner; one that has no producer only once.
func (m *Model) Send(o *Owner, b *Batch) {
	m.mu.Lock()
	a := &attempt{batch: b, owner: o, again: b.attempts > 0, stored: b.has(o)}
	if b.Of != nil {
		a.follows = b.index == 0 || b.Of.batches[b.index-1].has(o)
	}
	b.attempts++
	b.open++
	o.waiting++
	m.waiting++
	m.mu.Unlock()
	o.Log.Append(bytes.Clone(b.bytes), func(r partition.Appended, err error) { m.answer(a, r, err) })
}

// has tells whether an owner must have the batch.
func (b *Batch) has(o *Owner) bool { return b.knownBy != none && b.knownBy <= o.index }

// stored tells whether the batch is known to be stored: it was acknowledged, or a
// later one of its producer was, which is not taken without it.
func (b *Batch) stored() bool {
	return slices.ContainsFunc(b.Of.batches[b.index:], func(later *Batch) bool { return later.acked })
}

func (m *Model) answer(a *attempt, r partition.Appended, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.answered {
		m.breaks("%v was answered twice by %v", a.batch, a.owner)
		return
	}
	a.answered = true
	a.batch.open--
	a.owner.waiting--
	m.waiting--
	if err != nil {
		m.refused(a, err)
	} else {
		m.acknowledged(a, r)
	}
	select {
	case m.answered <- struct{}{}:
	default:
	}
}

func (m *Model) acknowledged(a *attempt, r partition.Appended) {
	b, o := a.batch, a.owner
	m.counts["acknowledged"]++
	if r.Duplicate {
		m.counts["acknowledged as a duplicate"]++
	}
	switch {
	case r.Duplicate && !a.again:
		m.breaks("%v calls %v a duplicate, which was never sent before", o, b)
	case !r.Duplicate && a.stored:
		m.breaks("%v stored %v again, which it had at %d", o, b, b.base)
	case r.Time.IsZero() || r.Epoch == 0:
		m.breaks("%v acknowledged %v without time or epoch", o, b)
	}
	b.acked, b.appended = true, r.Time
	m.place(b, r.Base, o)
	if rng := o.Log.Range(); b.next() > rng.End {
		m.breaks("%v acknowledged %v at %d, and shows only up to %d", o, b, b.base, rng.End)
	}
	for _, later := range m.owners[o.index+1:] {
		if b.next() > later.end {
			m.breaks("%v acknowledged %v at %d, where %v had taken over at %d", o, b, b.base, later, later.end)
		}
	}
}

// place notes that an owner says that a batch is at base.
func (m *Model) place(b *Batch, base talos.Offset, by *Owner) {
	if b.knownBy == none || b.knownBy > by.index {
		b.knownBy = by.index
	}
	if b.base != none {
		if b.base != base {
			m.breaks("%v has %v at %d, it is at %d", by, b, base, b.base)
		}
		return
	}
	b.base = base
	i, _ := slices.BinarySearchFunc(m.placed, base, func(p *Batch, o talos.Offset) int { return cmp.Compare(p.base, o) })
	if i > 0 && m.placed[i-1].next() > base {
		m.breaks("%v has %v at %d, where %v is, from %d on", by, b, base, m.placed[i-1], m.placed[i-1].base)
	}
	if i < len(m.placed) && m.placed[i].base < b.next() {
		m.breaks("%v has %v at %d, where %v is, from %d on", by, b, base, m.placed[i], m.placed[i].base)
	}
	m.placed = slices.Insert(m.placed, i, b)
}

// refused judges an error.
func (m *Model) refused(a *attempt, err error) {
	b, o := a.batch, a.owner
	kind := talos.KindOf(err)
	m.counts["refused: "+string(kind)]++
	justified := true
	switch kind {
	case talos.NotOwner, talos.NotServing, talos.StoreUnavailable, talos.MetaUnavailable, talos.Timeout:
		b.doubt = true
	case talos.QueueFull:
	case talos.UnknownProducer, talos.OutOfOrderSequence:
		justified = b.Of != nil && !a.follows && !a.stored
	case talos.DuplicateSequence:
		justified = b.Of != nil && b.stored() && len(b.Of.batches) > b.index+talos.DuplicateWindow
	case talos.ProducerFenced:
		justified = b.Of != nil && b.Of.replaced
	default:
		justified = false
	}
	if !justified {
		m.breaks("%v refused %v (%s): %w", o, b, kind, err)
	}
}

// Report lists counts, one a line.
func Report(counts map[string]int) string {
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		lines = append(lines, fmt.Sprintf("%8d %s", counts[what], what))
	}
	return strings.Join(lines, "\n")
}
