package histories

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/model"
	"pgregory.net/rapid"
)

// actions are what can happen next. There is a node whenever one is taken.
func (w *world) actions() map[string]func(*rapid.T) {
	all := map[string]func(*rapid.T){
		"append": func(rt *rapid.T) { w.model.Send(w.draw(rt).owner, w.plain(rt)) },
		"append as a producer": func(rt *rapid.T) {
			w.sendNext(w.draw(rt), rt)
		},
		"append a lot":             w.appendLots,
		"send again":               w.sendAgain,
		"retry what is unanswered": w.retry,
		"start a producer anew":    w.restartProducer,
		"read":                     w.read,
		"read everything":          w.readEverything,
		"trim":                     w.trim,
		"configure":                w.configure,
		"take over":                func(rt *rapid.T) { w.takeOver(rt) },
		"close and reopen":         w.reopen,
		"crash and reopen":         func(rt *rapid.T) { w.crash(len(w.nodes) - 1); w.takeOver(rt) },
		"crash anyone":             func(rt *rapid.T) { w.crash(drawIndex(rt, len(w.nodes), "node")) },
		"fault of the store":       w.failStore,
		"fault of the record":      w.failRecord,
		"hold":                     w.hold,
		"let go":                   func(rt *rapid.T) { w.draw(rt).faults.Clear() },
	}
	if w.virtual {
		all["time passes"] = func(rt *rapid.T) {
			w.pass(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 21 * time.Second, 61 * time.Second, 6 * time.Minute}).Draw(rt, "time"))
		}
	} else {
		all["wait for answers"] = func(rt *rapid.T) {
			if n := w.draw(rt); !n.faults.Holding() {
				w.await(rt, n.owner)
			}
		}
	}
	return all
}

// draw picks a node, most often the newest.
func (w *world) draw(rt *rapid.T) *node {
	back := rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 1, 2}).Draw(rt, "nodes back")
	return w.nodes[max(0, len(w.nodes)-1-back)]
}

func drawIndex(rt *rapid.T, n int, label string) int { return rapid.IntRange(0, n-1).Draw(rt, label) }

func drawSize(rt *rapid.T) (size int, records int32) {
	size = rapid.SampledFrom([]int{0, 10, 10, 100, 1000, 1000, 10_000, 100_000, 700_000}).Draw(rt, "size")
	return size, rapid.Int32Range(1, 9).Draw(rt, "records")
}

func (w *world) plain(rt *rapid.T) *model.Batch { return w.model.Plain(drawSize(rt)) }

func (w *world) sendNext(n *node, rt *rapid.T) {
	size, records := drawSize(rt)
	p := w.producers[drawIndex(rt, len(w.producers), "producer")]
	if b := w.model.Next(p, size, records); b != nil {
		w.model.Send(n.owner, b)
	}
}

// appendLots sends several batches at once, so that they queue and group.
func (w *world) appendLots(rt *rapid.T) {
	n := w.draw(rt)
	for range rapid.IntRange(2, 12).Draw(rt, "batches") {
		if rapid.Bool().Draw(rt, "idempotent") {
			w.sendNext(n, rt)
		} else {
			w.model.Send(n.owner, w.plain(rt))
		}
	}
}

// sendAgain sends an earlier batch, which may be in flight, known, or so old that
// it is known no more.
func (w *world) sendAgain(rt *rapid.T) {
	p := w.producers[drawIndex(rt, len(w.producers), "producer")]
	if b := w.model.Newest(p, rapid.IntRange(0, talos.DuplicateWindow+2).Draw(rt, "batches back")); b != nil {
		w.model.Send(w.draw(rt).owner, b)
	}
}

func (w *world) retry(rt *rapid.T) {
	n := w.draw(rt)
	for _, p := range w.producers {
		for _, b := range w.model.Unanswered(p) {
			w.model.Send(n.owner, b)
		}
	}
}

func (w *world) restartProducer(rt *rapid.T) {
	i := drawIndex(rt, len(w.producers), "producer")
	w.producers[i] = w.model.Producer(w.producers[i])
}

func drawLimit(rt *rapid.T) int {
	return rapid.SampledFrom([]int{0, 1, 100, 10_000, 1 << 20}).Draw(rt, "limit")
}

func (w *world) read(rt *rapid.T) {
	n := w.draw(rt)
	rng := n.owner.Log.Range()
	offset := talos.Offset(rapid.Int64Range(int64(rng.Start)-2, int64(rng.End)+2).Draw(rt, "offset"))
	fired := n.faults.Fired()
	err := w.model.Read(context.Background(), n.owner, offset, drawLimit(rt))
	w.judgeReading(rt, n, fired, err)
}

func (w *world) readEverything(rt *rapid.T) {
	n := w.draw(rt)
	fired := n.faults.Fired()
	w.judgeReading(rt, n, fired, w.model.Look(context.Background(), n.owner, drawLimit(rt)))
}

// judgeReading makes sure that the owner reads, as long as nothing fails.
func (w *world) judgeReading(rt *rapid.T, n *node, fired int, err error) {
	log := n.owner.Log
	deposed := log.Epoch() != w.record.Now().Epoch || log.Err() != nil
	if err == nil || deposed || n.faults.Fired() != fired || talos.KindOf(err) == talos.OffsetOutOfRange {
		return
	}
	require.NoError(rt, err, "nothing failed, and nobody has taken over")
}

// trim asks for an offset, and goes on.
func (w *world) trim(rt *rapid.T) {
	n := w.draw(rt)
	rng := n.owner.Log.Range()
	offset := talos.Offset(rapid.Int64Range(int64(rng.Start), int64(rng.End)+1).Draw(rt, "offset"))
	w.trims.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		w.model.Trim(ctx, n.owner, offset)
	})
}

// configure changes what has no say in what is kept, and goes on.
func (w *world) configure(rt *rapid.T) {
	n := w.draw(rt)
	config := w.topic.Config
	config.SegmentBytes = rapid.SampledFrom([]int64{0, 1, 10_000, 1 << 20}).Draw(rt, "segment bytes")
	config.Durability = rapid.SampledFrom([]talos.Durability{talos.Sync, talos.Flush}).Draw(rt, "durability")
	w.trims.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		w.model.Configure(ctx, n.owner, config)
	})
}

// takeOver opens the partition elsewhere, or again on the same node, while those
// that have it go on.
func (w *world) takeOver(rt *rapid.T) {
	if !w.open(drawName(rt)) {
		return
	}
	n := w.newest()
	w.judgeReading(rt, n, 0, w.model.Look(context.Background(), n.owner, drawLimit(rt)))
}

func (w *world) reopen(rt *rapid.T) {
	n := w.newest()
	n.faults.Clear()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(rt, n.owner.Log.Close(ctx))
	require.Zero(rt, w.model.Waiting(n.owner), "closed, and not all is answered")
	w.nodes = w.nodes[:len(w.nodes)-1]
	w.takeOver(rt)
}

// failStore arms a fault of a node's store, or of the next node's that opens.
func (w *world) failStore(rt *rapid.T) {
	f := w.drawFaults(rt)
	op := rapid.SampledFrom([]faulty.Op{
		faulty.Append, faulty.Append, faulty.Create, faulty.Create, faulty.Seal, faulty.Recover,
		faulty.Open, faulty.Read, faulty.List, faulty.Remove,
	}).Draw(rt, "op")
	fault := drawFault(rt)
	if op == faulty.Append && rapid.Bool().Draw(rt, "torn") {
		fault = faulty.Fault{Tear: true, TornBytes: rapid.SampledFrom([]int{0, 1, 71, 72, 73, 200, 5000, 1 << 30}).Draw(rt, "torn to")}
	}
	f.Arm(op, rapid.IntRange(0, 3).Draw(rt, "skip"), fault)
}

func (w *world) failRecord(rt *rapid.T) {
	op := rapid.SampledFrom([]faulty.Op{model.Raise, model.Swap, model.Swap, model.ReadRecord}).Draw(rt, "op")
	w.drawFaults(rt).Arm(op, rapid.IntRange(0, 2).Draw(rt, "skip"), drawFault(rt))
}

func (w *world) drawFaults(rt *rapid.T) *model.Faults {
	if rapid.Bool().Draw(rt, "of the next node") {
		return w.next
	}
	return w.draw(rt).faults
}

// drawFault fails a call, or its answer.
func drawFault(rt *rapid.T) faulty.Fault {
	if rapid.Bool().Draw(rt, "takes effect") {
		return faulty.Fault{After: faulty.Fail(model.ErrInjected)}
	}
	return faulty.Fault{Before: faulty.Fail(model.ErrInjected)}
}

// hold makes calls hang until somebody lets go, or their time is over. Those that
// opening and reading need are not held: nobody would be there to let go.
func (w *world) hold(rt *rapid.T) {
	op := rapid.SampledFrom([]faulty.Op{faulty.Append, faulty.Append, faulty.Create, faulty.Seal, faulty.Remove, model.Swap}).Draw(rt, "op")
	w.draw(rt).faults.Hold(op, rapid.Bool().Draw(rt, "after it took effect"))
}
