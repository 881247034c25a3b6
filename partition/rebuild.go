package partition

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
	"golang.org/x/sync/errgroup"
)

// maxExamined bounds the segments that a rebuild looks into at once.
const maxExamined = 8

// Rebuild is what the record of a partition must be, going by its folder.
type Rebuild struct {
	// Before is the record that there is, After the one to replace it. They are
	// equal if nothing contradicts it.
	Before, After talos.PartitionRecord
	// Chain is After's.
	Chain []talos.SegmentName
	// Left are the other segments in the folder: those below the start, and those
	// that nothing was ever written to.
	Left []talos.SegmentName
}

// PlanRebuild derives the record from the folder; it changes nothing, but that it
// recovers what can't be read otherwise. Nobody may write to the partition
// meanwhile.
//
// The chain is found backwards, by what each header says of its predecessor, for
// only that tells a segment which counted from one that did not, once others are
// removed: the oldest that is there without a gap is the start. The newest number
// counts if anything was written to it. If nothing was, it may be the create of
// an owner that was deposed, whose base could cut off what the next one
// acknowledged, so the chain ends before it: nothing is lost with an empty
// segment.
//
// BrokenChain: a segment that was written to is not in that chain, so that
// records would be lost. CorruptSegment, StoreUnavailable: one can't be read.
func PlanRebuild(ctx context.Context, store storage.Store, id talos.PartitionID, before talos.PartitionRecord) (Rebuild, error) {
	listing, err := store.List(ctx, id.String())
	if err != nil {
		return Rebuild{}, storeError("list", storage.ID{Folder: id.String()}, err)
	}
	f, err := examineAll(ctx, store, id, listing.Segments)
	if err != nil {
		return Rebuild{}, err
	}
	chain, err := f.chain()
	if err != nil {
		return Rebuild{}, err
	}
	plan := Rebuild{Before: before, Chain: chain}
	if err := plan.derive(f); err != nil {
		return Rebuild{}, err
	}
	// What an opening will make of it, one epoch later.
	raised := plan.After
	raised.Epoch++
	links, err := deriveChain(id, raised, listing.Segments)
	if err != nil {
		return Rebuild{}, err
	}
	if !slices.EqualFunc(plan.Chain, links, func(n talos.SegmentName, l link) bool { return n == l.name }) {
		return Rebuild{}, brokenChain(id, "the segments' headers and their names contradict each other: %v or %v", plan.Chain, links)
	}
	return plan, nil
}

// derive makes After, out of a chain that may begin below the start.
func (p *Rebuild) derive(f *folder) error {
	highest := slices.MaxFunc(f.names, func(a, b talos.SegmentName) int { return cmp.Compare(a.Epoch, b.Epoch) }).Epoch
	first, last := p.Chain[0], p.Chain[len(p.Chain)-1]
	start := talos.LogStart{Number: first.Number, Offset: first.Base}
	for _, name := range p.Chain {
		// A start that was set once is never taken back.
		if name.Number == p.Before.Start.Number && p.Before.Start.Offset >= name.Base {
			start = p.Before.Start
		}
	}
	p.Chain = slices.DeleteFunc(p.Chain, func(n talos.SegmentName) bool { return n.Number < start.Number })
	for _, name := range f.names {
		if !slices.Contains(p.Chain, name) {
			p.Left = append(p.Left, name)
		}
	}
	p.After = talos.PartitionRecord{Epoch: p.Before.Epoch, Tail: last.Number, Start: start}
	if p.After == p.Before && highest <= p.Before.Epoch {
		return nil
	}
	if highest >= math.MaxInt32-1 {
		return brokenChain(f.id, "there is no epoch above %d", highest)
	}
	p.After.Epoch = max(p.Before.Epoch, highest) + 1
	return nil
}

// folder is what lies in a partition's folder.
type folder struct {
	id talos.PartitionID
	// names are sorted, by number first and epoch next.
	names    []talos.SegmentName
	contents map[talos.SegmentName]segment.Content
}

func examineAll(ctx context.Context, store storage.Store, id talos.PartitionID, segments []storage.Info) (*folder, error) {
	f := &folder{id: id, contents: map[talos.SegmentName]segment.Content{}}
	for _, s := range segments {
		if name, err := talos.ParseSegmentName(s.Name); err == nil {
			f.names = append(f.names, name)
		}
	}
	slices.SortFunc(f.names, func(a, b talos.SegmentName) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Epoch, b.Epoch))
	})
	var mu sync.Mutex // guards f.contents
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxExamined)
	for _, name := range f.names {
		group.Go(func() error {
			content, err := examine(ctx, store, id, name)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			f.contents[name] = content
			return nil
		})
	}
	return f, group.Wait()
}

// chain returns what counts, oldest first.
func (f *folder) chain() ([]talos.SegmentName, error) {
	tail, err := f.tail()
	if err != nil {
		return nil, err
	}
	chain := []talos.SegmentName{tail}
	for at := tail; ; {
		previous := f.contents[at].Previous
		if content, ok := f.contents[previous]; !ok || !content.Begun || previous.Number != at.Number-1 {
			break
		}
		chain = append(chain, previous)
		at = previous
	}
	slices.Reverse(chain)
	for _, name := range f.names {
		if f.contents[name].Used && !slices.Contains(chain, name) {
			return nil, brokenChain(f.id, "segment %v was written to, and is not in the chain from %v to %v: is one between them missing?",
				name, chain[0], tail)
		}
	}
	return chain, nil
}

// tail returns the newest segment that counts for certain.
func (f *folder) tail() (talos.SegmentName, error) {
	var newest talos.SegmentName
	for _, name := range f.names {
		content := f.contents[name]
		if content.Begun && (content.Used || name.Number > newest.Number || !f.contents[newest].Used) {
			newest = name
		}
	}
	if newest.Number == 0 {
		return newest, brokenChain(f.id, "there is no segment in its folder from which the record could be derived")
	}
	content := f.contents[newest]
	if before, ok := f.contents[content.Previous]; !content.Used && ok && before.Begun {
		return content.Previous, nil
	}
	return newest, nil
}
