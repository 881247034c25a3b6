package partition

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"golang.org/x/sync/errgroup"
)

// maxRecovers bounds the segments of one partition that are recovered at once.
const maxRecovers = 8

// Open takes the partition over: no earlier owner can acknowledge anything once
// it returns, and everything they acknowledged is served. ctx bounds the
// opening only.
//
// It fails with NotOwner or UnknownTopic if this node may not open it,
// RestoredRecord, BrokenChain or CorruptSegment if the partition is not what the
// record says, StoreUnavailable or MetaUnavailable if it can't be told.
func Open(ctx context.Context, cfg Config) (_ *Log, err error) {
	l := newLog(cfg)
	defer func(begun time.Time) { l.metrics.attempted(begun, err) }(time.Now())
	rec, err := cfg.Records.Raise(ctx)
	if err != nil {
		return nil, fmt.Errorf("raise the epoch of %v: %w", l.id, err)
	}
	l.rec = rec
	chain, err := l.takeOver(ctx)
	if err != nil {
		err = l.blame(ctx, err)
		l.stop(err)
		l.closeOwn()
		return nil, err
	}
	l.view.Store(&view{
		rng:   talos.OffsetRange{Start: rec.Start.Offset, End: l.acked},
		epoch: rec.Epoch, chain: chain, newest: l.lastTime, changed: make(chan struct{}),
	})
	l.retention.looked, l.retention.spread = time.Now(), spreadOf(l.id)
	l.planRetention()
	level := slog.LevelInfo
	if len(chain) == 0 {
		level = slog.LevelDebug // a new one, of maybe very many
	}
	l.log.Log(ctx, level, "partition opened", "epoch", rec.Epoch, "start", rec.Start.Offset, "end", l.acked, "segments", len(chain))
	go l.run()
	return l, nil
}

// blame makes sure that what takeOver found wrong is not the work of a later
// owner: one that came between raising and listing may have created segments of
// higher epochs, or removed some. Only under a record that has not changed does
// a folder prove anything.
func (l *Log) blame(ctx context.Context, found error) error {
	switch talos.KindOf(found) {
	case talos.RestoredRecord, talos.BrokenChain, talos.CorruptSegment:
	default:
		return found
	}
	rec, err := l.cfg.Records.Read(ctx)
	if err != nil {
		return fmt.Errorf("read the record of %v: %w", l.id, err)
	}
	if rec.Epoch != l.rec.Epoch {
		return l.deposed(fmt.Sprintf("the epoch is %d, the own one was %d", rec.Epoch, l.rec.Epoch), found)
	}
	return found
}

func newLog(cfg Config) *Log {
	if cfg.Tails == nil {
		cfg.Tails = NewTails(0)
	}
	history := cfg.History
	if history == nil {
		history = NewHistory(0)
	}
	id := cfg.id()
	ctx, stop := context.WithCancelCause(context.Background())
	traits := cfg.Store.Traits()
	if cfg.Metrics == nil {
		cfg.Metrics = unwatched
	}
	l := &Log{
		cfg: cfg, id: id, traits: traits, metrics: cfg.Metrics,
		log:   cfg.Logger.With("topic", string(cfg.Topic.Name), "partition", cfg.Partition),
		inbox: newInbox(cfg.Metrics), tail: newTail(cfg.Tails), history: history, producers: newProducers(), lastUsed: time.Now(),
		ctx: ctx, stop: stop, slots: make(chan struct{}, maxBackground), done: make(chan struct{}),
	}
	l.setConfig(cfg.Topic.Config)
	return l
}

// takeOver does what follows the raised epoch: list, recover, load the tail.
func (l *Log) takeOver(ctx context.Context) ([]link, error) {
	listing, err := l.cfg.Store.List(ctx, l.id.String())
	if err != nil {
		return nil, storeError("list", storage.ID{Folder: l.id.String()}, err)
	}
	chain, err := deriveChain(l.id, l.rec, listing.Segments)
	if err != nil {
		return nil, err
	}
	if err := l.checkBeyond(ctx, listing.Segments); err != nil {
		return nil, err
	}
	if err := l.recoverChain(ctx, chain); err != nil {
		return nil, err
	}
	l.acked = l.rec.Start.Offset
	if len(chain) > 0 {
		if err := l.loadTail(ctx, &chain[len(chain)-1]); err != nil {
			return nil, err
		}
	}
	if l.acked < l.rec.Start.Offset {
		return nil, brokenChain(l.id, "it ends at offset %d, before its start at %d", l.acked, l.rec.Start.Offset)
	}
	l.next = l.acked
	if len(garbage(l.rec, listing.Segments)) > 0 {
		l.sweeps.plan(l.rec.Start.Number)
	}
	return chain, nil
}

// recoverChain ends all segments that earlier owners may have left open.
func (l *Log) recoverChain(ctx context.Context, chain []link) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxRecovers)
	for i := range chain {
		link := &chain[i]
		if link.sealed {
			continue
		}
		group.Go(func() error {
			id := l.segmentID(link.name)
			info, err := l.cfg.Store.Recover(ctx, id)
			if err != nil {
				return storeError("recover", id, err)
			}
			link.size = info.Size
			return nil
		})
	}
	return group.Wait()
}

func (l *Log) segmentID(name talos.SegmentName) storage.ID {
	return storage.ID{Folder: l.id.String(), Name: name.String()}
}

// loadTail finds the end of the log and the state of its producers.
func (l *Log) loadTail(ctx context.Context, tail *link) error {
	loaded, err := l.load(ctx, *tail, 0, segment.LoadOptions{
		Acked:   l.rec.Start.Offset,
		Restore: l.producers.restore,
		Apply: func(b batch.Batch, timeMs int64) error {
			l.producers.replay(b.Header, timeMs)
			return nil
		},
	})
	if err != nil {
		return err
	}
	l.acked, l.lastTime, tail.size = loaded.Next, loaded.LastTime, loaded.End
	if loaded.Torn > 0 {
		l.log.Warn("torn tail dropped: nothing says that it was acknowledged", "segment", tail.name.String(),
			"position", loaded.End, "bytes", loaded.Torn, "ambiguous", loaded.Ambiguous)
	}
	return nil
}

// load reads what there is to know of a segment that nobody writes, and checks
// that it is the one it is taken for. Below until, unless that is 0, everything
// must be there.
func (l *Log) load(ctx context.Context, seg link, until talos.Offset, o segment.LoadOptions) (segment.Loaded, error) {
	id := l.segmentID(seg.name)
	reader, err := l.cfg.Store.Open(ctx, id)
	if err != nil {
		return segment.Loaded{}, storeError("open", id, err)
	}
	defer closeReader(reader)
	size, err := reader.Size(ctx)
	if err != nil {
		return segment.Loaded{}, storeError("size of", id, err)
	}
	o.ID, o.Size, o.Ordered, o.Until = id.String(), size, l.traits.OrderedTail, until
	loaded, err := segment.Load(ctx, reader, o)
	if err != nil {
		return segment.Loaded{}, storeError("load", id, err)
	}
	if loaded.Name != seg.name || loaded.Topic != l.id.Topic || loaded.Partition != l.id.Number {
		return segment.Loaded{}, &talos.Error{
			Kind: talos.CorruptSegment, Op: "partition.load", Subject: id.String(),
			Detail: fmt.Sprintf("its header says that it is %v of %v/%d", loaded.Name, loaded.Topic, loaded.Partition),
		}
	}
	return loaded, nil
}
