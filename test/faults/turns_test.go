package faults_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/model"
)

// sweepTime is longer than what no longer counts is kept.
const sweepTime = 2 * time.Minute

var failing = map[string]faulty.Fault{
	"before": {Before: faulty.Fail(model.ErrInjected)},
	"after":  {After: faulty.Fail(model.ErrInjected)},
}

var allOps = []faulty.Op{
	faulty.Create, faulty.Append, faulty.Seal, faulty.Recover, faulty.Open, faulty.Read, faulty.List, faulty.Remove,
}

// Each operation fails once, or several times one after the other, while a
// producer sends through rolls, a reader reads history, and a trim removes
// segments. The log never ends for it.
func TestEachOperationFailingWhileServing(t *testing.T) {
	for _, op := range allOps {
		for when, fault := range failing {
			for _, times := range []int{1, 2, 5} {
				t.Run(fmt.Sprintf("%s %s it %d times", when, op, times), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { failWhileServing(t, op, fault, times) })
				})
			}
		}
	}
	t.Run("a torn append", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			failWhileServing(t, faulty.Append, faulty.Fault{Tear: true, TornBytes: 5000}, 2)
		})
	})
}

func failWhileServing(t *testing.T, op faulty.Op, fault faulty.Fault, times int) {
	var faults model.Faults
	r := newRig(t, faults.Store(mem.New()), talos.MinSegmentBytes)
	l, p := r.open(), newProducer(t, 1, 10_000)
	p.deliver(l, 30)
	l = r.reopen(l) // what was sent so far is history, which is read from the store

	wanted := times
	for range times {
		faults.Arm(op, 0, fault)
		if op == faulty.Recover { // which is for segments that broke
			faults.Arm(faulty.Append, 0, failing["before"])
			wanted++
		}
	}
	p.deliver(l, 120)
	read := readRetrying(t, l)
	for i := range 2 * times { // a failed sweep is repeated after the next trim
		require.NoError(t, l.Trim(t.Context(), talos.Offset(10*(i+1))))
		<-time.After(sweepTime)
	}
	first := int(l.Range().Start)
	p.deliver(l, 140)

	require.Equal(t, wanted, faults.Fired())
	require.NoError(t, l.Err())
	for _, err := range append(read, p.met...) {
		require.ErrorIs(t, err, talos.StoreUnavailable)
		require.ErrorIs(t, err, model.ErrInjected)
	}
	switch op {
	case faulty.Open, faulty.Read:
		require.Len(t, read, times)
	case faulty.Create:
		require.Equal(t, times > 1, len(p.met) > 0, "one failed create is made good without a word: %v", p.met)
	default:
		require.Empty(t, append(read, p.met...), "the log makes it good by itself")
	}
	requireStored(t, l, first, p)
	l = r.reopen(l)
	requireStored(t, l, first, p)
	<-time.After(sweepTime)
	requireSwept(t, r, l)
}

// readRetrying reads everything until it succeeds, and returns the errors.
func readRetrying(t *testing.T, l *partition.Log) (met []error) {
	for rng := l.Range(); rng.Start < rng.End && len(met) < 100; {
		read, err := l.Read(t.Context(), rng.Start, 1)
		if err != nil {
			met = append(met, err)
			continue
		}
		require.NotEmpty(t, read)
		rng.Start++ // one record each
	}
	return met
}

// requireSwept makes sure that the folder holds the chain and nothing else.
func requireSwept(t *testing.T, r *rig, l *partition.Log) {
	t.Helper()
	listing, err := r.store.List(t.Context(), talos.PartitionID{Topic: r.topic.ID}.String())
	require.NoError(t, err)
	require.Len(t, listing.Segments, l.Stats().Segments)
}

// Opening fails with each operation that it makes, and succeeds when asked again.
func TestEachOperationFailingWhileOpening(t *testing.T) {
	for _, op := range []faulty.Op{faulty.List, faulty.Recover, faulty.Open, faulty.Read} {
		for when, fault := range failing {
			t.Run(fmt.Sprintf("%s %s", when, op), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var faults model.Faults
					r := newRig(t, faults.Store(mem.New()), talos.MinSegmentBytes)
					p := newProducer(t, 1, 100)
					p.deliver(r.open(), 20) // too little to roll: the segment stays open

					faults.Arm(op, 0, fault)
					_, err := r.tryOpen()
					require.ErrorIs(t, err, talos.StoreUnavailable)
					require.ErrorIs(t, err, model.ErrInjected)
					l := r.open()
					p.deliver(l, 40)
					requireStored(t, l, 0, p)
				})
			})
		}
	}
}
