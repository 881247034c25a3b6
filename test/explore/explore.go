package explore

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing/synctest"
	"time"

	"github.com/talos-log/talos/talos"
)

// choice is one thing that could happen next.
type choice struct {
	text string
	do   func()
}

// files is what was done to each segment, in order: what its content and its
// appender depend on.
type files map[string][]string

// outcome is how a gated call ends.
type outcome string

const (
	succeeds  outcome = "succeeds"
	fails     outcome = "fails"
	ambiguous outcome = "takes effect and returns an error"
	late      outcome = "returns an error and may take effect later"
)

// choices lists what could happen, in an order that depends on the state only.
func (w *world) choices() []choice {
	var all []choice
	for _, c := range w.enabled() {
		for _, o := range w.outcomes(c) {
			all = append(all, choice{fmt.Sprintf("%v %s", c, o), func() { w.settle(c, o) }})
		}
	}
	for i, c := range w.late {
		all = append(all, choice{fmt.Sprintf("%v takes its late effect", c), func() {
			w.late = slices.Delete(w.late, i, i+1)
			_, _ = w.takeEffect(c) // its caller was told long ago
		}})
	}
	if n := len(w.owners); n < len(w.bounds.Owners) {
		all = append(all, choice{"start " + w.bounds.Owners[n], func() { w.start(w.bounds.Owners[n]) }})
	}
	for _, o := range w.owners {
		if !o.crashed && w.crashes < w.bounds.Crashes && w.busy(o) {
			all = append(all, choice{o.name + " crashes", func() { w.crashes++; w.crash(o) }})
		}
	}
	if w.bounds.Back && !w.back && len(w.owners) == len(w.bounds.Owners) {
		all = append(all, choice{"the partition is assigned to " + w.owners[0].name + " again", func() {
			w.back, w.assigned = true, w.owners[0]
		}})
	}
	if w.bounds.Trim && w.minutes == 0 && w.history.trimmed > 0 {
		all = append(all, choice{"a minute passes", func() { w.minutes++; <-time.After(time.Minute + time.Second) }})
	}
	if len(w.enabled()) == 0 && len(w.owners) == len(w.bounds.Owners) {
		// Late effects that are left never come.
		all = append(all, choice{"the end: one more opens it", w.finish})
	}
	return all
}

// enabled returns the calls that may go on: appends to one segment only in
// their order.
func (w *world) enabled() []*call {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := map[string]bool{}
	var all []*call
	for _, c := range w.pending {
		segment, _, _ := strings.Cut(c.label, " ")
		if key := c.owner.name + segment; c.verb == doAppend {
			if first[key] {
				continue
			}
			first[key] = true
		}
		all = append(all, c)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].String() < all[j].String() })
	return all
}

func (w *world) outcomes(c *call) []outcome {
	all := []outcome{succeeds}
	if w.faults >= w.bounds.Faults || c.verb == askNext {
		return all
	}
	all = append(all, fails)
	if c.verb.changes() {
		all = append(all, ambiguous)
	}
	if c.verb.canBeLate() && w.lates < w.bounds.Late {
		all = append(all, late)
	}
	return all
}

// busy tells whether the owner has something under way; one that has nothing
// crashes without anybody noticing.
func (w *world) busy(o *owner) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.pending, func(c *call) bool { return c.owner == o })
}

func (w *world) takeEffect(c *call) (string, error) {
	observed, err := c.effect()
	name, _, _ := strings.Cut(c.label, " ")
	if parsed, bad := talos.ParseSegmentName(name); c.verb == doCreate && bad == nil && parsed.Number < w.record.Start.Number {
		w.tooLate[name] = true
	}
	switch {
	case err == nil && (c.verb == doCreate || c.verb == doAppend):
		w.files[name] = append(w.files[name], c.String())
	case err == nil && c.verb == doRemove:
		delete(w.files, name)
		w.removed[name] = true
	case err == nil && c.verb == doRecover:
		if all := w.files[name]; len(all) > 0 && all[len(all)-1] != "recovered" {
			w.files[name] = append(all, "recovered")
		}
	}
	return observed, err
}

// settle ends a call that waits at the gate.
func (w *world) settle(c *call, o outcome) {
	w.mu.Lock()
	w.pending = slices.DeleteFunc(w.pending, func(p *call) bool { return p == c })
	w.mu.Unlock()
	observed, err := "", errFault
	switch o {
	case succeeds:
		observed, err = w.takeEffect(c)
	case fails:
		w.faults++
	case ambiguous:
		w.faults++
		_, _ = w.takeEffect(c) // the caller is told errFault, whatever became of it
	case late:
		w.faults++
		w.lates++
		w.late = append(w.late, c)
	}
	w.mu.Lock()
	c.owner.seen = append(c.owner.seen, fmt.Sprintf("%s %s: %s %v", c.verb, c.label, observed, talos.KindOf(err)))
	w.mu.Unlock()
	c.reply(err)
}

// check looks at everything that can be looked at, after each step.
func (w *world) check() {
	for _, o := range w.owners {
		switch {
		case o.crashed:
		case o.log == nil && o.openErr == nil:
		case o.log == nil:
			switch talos.KindOf(o.openErr) {
			case talos.BrokenChain, talos.CorruptSegment, talos.RestoredRecord:
				w.history.breaks("%s can't open the partition: %w", o.name, o.openErr)
			}
		default:
			w.look(o, !o.checked && o.log.Epoch() == w.record.Epoch)
			o.checked = true
		}
	}
	w.checkNames()
}

// tries notes a name that is given to Create: a second time breaks the rule that
// saves stores from telling a late create from a new one.
func (w *world) tries(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tried[name] {
		w.history.breaks("segment %s is created a second time", name)
	}
	w.tried[name] = true
}

// commits notes which segment a tail that was just swapped stands for.
func (w *world) commits(tail talos.SegmentNumber) {
	if _, ok := w.committed[tail]; ok {
		return
	}
	for file := range w.files {
		name, err := talos.ParseSegmentName(file)
		if err == nil && name.Number == tail && (w.committed[tail] == "" || file > w.committed[tail]) {
			w.committed[tail] = file
		}
	}
}

// checkNames makes sure that no two segments have the same number and epoch (the
// chain would be ambiguous), and that none is removed before what it had made
// garbage (that would count again for whoever looks at the folder). A create that
// takes effect when its number is below the start already can't be helped.
func (w *world) checkNames() {
	seen := map[string]string{}
	for file := range w.files {
		name, err := talos.ParseSegmentName(file)
		if err != nil {
			w.history.breaks("segment %q: %w", file, err)
			continue
		}
		key := fmt.Sprint(name.Number, name.Epoch)
		if other, ok := seen[key]; ok {
			w.history.breaks("%s and %s have the same number and epoch", other, file)
		}
		seen[key] = file
		winner := w.committed[name.Number]
		if winner != "" && file < winner && w.removed[winner] && !w.tooLate[file] {
			w.history.breaks("%s was removed before %s, which it had made garbage", winner, file)
		}
	}
}

// finish opens the partition once more, without any fault, and reads it.
func (w *world) finish() {
	w.over = true
	w.start("final")
	final := w.owners[len(w.owners)-1]
	for {
		synctest.Wait()
		calls := w.enabled()
		if len(calls) == 0 {
			break
		}
		mine := slices.IndexFunc(calls, func(c *call) bool { return c.owner == final })
		if mine < 0 {
			break
		}
		w.settle(calls[mine], succeeds)
	}
	if final.log == nil {
		w.history.breaks("nobody can open the partition in the end: %w", final.openErr)
		return
	}
	w.look(final, true)
}

// key names the state: two runs with the same key go on alike.
func (w *world) key() [32]byte {
	var b strings.Builder
	fmt.Fprintln(&b, w.record, w.faults, w.lates, w.crashes, w.minutes, w.back, w.next, w.history.trimmed)
	for _, o := range w.owners {
		fmt.Fprintln(&b, o.name, o.crashed, w.assigned == o)
		if !o.crashed {
			fmt.Fprintln(&b, strings.Join(o.seen, ";"))
		}
	}
	for _, c := range w.enabled() {
		fmt.Fprintln(&b, "pending", c)
	}
	lates := make([]string, 0, len(w.late))
	for _, c := range w.late {
		lates = append(lates, c.String())
	}
	slices.Sort(lates)
	fmt.Fprintln(&b, lates)
	names := make([]string, 0, len(w.files))
	for name := range w.files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintln(&b, name, w.files[name])
	}
	for s := range w.next {
		fmt.Fprintln(&b, s, w.history.offsets[s])
	}
	for _, offset := range slices.Sorted(maps.Keys(w.history.shown)) {
		fmt.Fprintln(&b, "shown", offset, w.history.shown[offset])
	}
	return sha256.Sum256([]byte(b.String()))
}
