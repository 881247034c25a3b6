package partition

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

func TestBatchesComeBackUnderTheOffsetsTheyWereAcknowledgedWith(t *testing.T) {
	r := newRig(t)
	l := r.open("a")
	require.Equal(t, talos.OffsetRange{}, l.Range())

	require.Equal(t, talos.Offset(0), r.append(l, plain("one")).Base)
	require.Equal(t, talos.Offset(1), r.append(l, manyRecords("three", 3, -1, 0, -1)).Base)
	a := r.append(l, plain("two"))
	require.Equal(t, talos.Offset(4), a.Base, "behind the last record of the batch, not behind the batch")
	require.WithinDuration(t, time.Now(), a.Time, time.Minute)

	require.Equal(t, talos.OffsetRange{Start: 0, End: 5}, l.Range())
	require.Equal(t, []string{"0:one", "1:three", "4:two"}, r.values(l, 0))
	require.Equal(t, []string{"1:three", "4:two"}, r.values(l, 3), "the batch that holds the offset")
	b, err := l.Read(t.Context(), 0, 1000)
	require.NoError(t, err)
	h, err := batch.Parse(b)
	require.NoError(t, err)
	require.Equal(t, l.Epoch(), h.LeaderEpoch)
}

func TestReadOutsideOfTheRangeSaysWhatTheRangeIs(t *testing.T) {
	r := newRig(t)
	l := r.open("a")
	r.append(l, plain("x"))
	for _, offset := range []talos.Offset{-1, 2} {
		_, err := l.Read(t.Context(), offset, 1)
		require.ErrorIs(t, err, talos.OffsetOutOfRange)
		var e *talos.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, &talos.OffsetRange{Start: 0, End: 1}, e.Range)
	}
	b, err := l.Read(t.Context(), 1, 1)
	require.NoError(t, err)
	require.Empty(t, b, "the end itself is where a reader waits")
}

func TestADeposedLogDoesNotCallAnOffsetOutOfRange(t *testing.T) {
	r := newRig(t)
	old := r.open("a")
	r.append(old, plain("x"))
	now := r.open("b")
	r.append(now, plain("y"))
	_, err := old.Read(t.Context(), 2, 1)
	require.ErrorIs(t, err, talos.NotOwner, "it is the log that is behind, not the reader that is ahead")
}

func TestEverythingIsThereAfterReopening(t *testing.T) {
	r := newRig(t)
	var want []string
	for round := range 5 {
		l := r.open("a")
		require.Equal(t, talos.Epoch(round+1), l.Epoch())
		for i := range 200 {
			text := fmt.Sprintf("%d.%d %s", round, i, strings.Repeat("x", i*10))
			want = append(want, fmt.Sprintf("%d:%s", r.append(l, plain(text)).Base, text))
		}
		require.Equal(t, want, r.values(l, 0))
		require.Greater(t, l.Stats().Segments, round, "segments are rolled by size")
		if round%2 == 0 {
			require.NoError(t, l.Close(t.Context()))
		} // else the next owner takes it away
	}
}

func TestRequestsThatWaitAreOneAppend(t *testing.T) {
	r := newRig(t)
	started, release := make(chan struct{}, 100), make(chan struct{})
	var appends atomic.Int32
	store := &hooked{Store: r.store, written: func(int) error {
		if appends.Add(1) == 1 {
			started <- struct{}{}
			<-release
		}
		return nil
	}}
	r.store = store
	l := r.open("a")
	outcomes := []<-chan outcome{send(l, plain("first"))}
	<-started
	for i := range 50 {
		outcomes = append(outcomes, send(l, plain(fmt.Sprint(i))))
	}
	require.Equal(t, talos.OffsetRange{}, l.Range(), "nothing can be read before it is durable")
	close(release)
	for i, ch := range outcomes {
		o := <-ch
		require.NoError(t, o.err)
		require.Equal(t, talos.Offset(i), o.Base)
	}
	require.Equal(t, int32(2), appends.Load())
}

func TestADuplicateGetsItsFirstOffsetWhereverTheOriginalIs(t *testing.T) {
	r := newRig(t)
	l := r.open("a")
	first := r.append(l, idempotent("x", 7, 0, 0))
	again := r.append(l, idempotent("x", 7, 0, 0))
	require.True(t, again.Duplicate)
	require.Equal(t, first.Base, again.Base)
	require.Equal(t, first.Time, again.Time)

	// Behind a roll.
	for i := range 100 {
		r.append(l, plain(strings.Repeat("x", 1000)+fmt.Sprint(i)))
	}
	require.Equal(t, first.Base, r.append(l, idempotent("x", 7, 0, 0)).Base)
	// Behind a hand-over, and behind a take-over.
	require.NoError(t, l.Close(t.Context()))
	l = r.open("b")
	require.Equal(t, first.Base, r.append(l, idempotent("x", 7, 0, 0)).Base)
	second := r.append(l, idempotent("y", 7, 0, 1))
	l = r.open("c")
	require.Equal(t, first.Base, r.append(l, idempotent("x", 7, 0, 0)).Base)
	require.Equal(t, second.Base, r.append(l, idempotent("y", 7, 0, 1)).Base)
	require.Equal(t, second.Base+1, l.Range().End)

	o := <-send(l, idempotent("z", 7, 0, 3))
	require.ErrorIs(t, o.err, talos.OutOfOrderSequence)
}

func TestADuplicateInFlightWaitsForTheOriginal(t *testing.T) {
	r := newRig(t)
	started, release := make(chan struct{}, 10), make(chan struct{})
	r.store = &hooked{Store: r.store, written: func(int) error {
		started <- struct{}{}
		<-release
		return nil
	}}
	l := r.open("a")
	original := send(l, idempotent("x", 7, 0, 0))
	<-started
	again := send(l, idempotent("x", 7, 0, 0))
	select {
	case o := <-again:
		t.Fatalf("answered before the original is durable: %+v", o)
	default:
	}
	close(release)
	require.Equal(t, talos.Offset(0), (<-original).Base)
	o := <-again
	require.NoError(t, o.err)
	require.Equal(t, talos.Offset(0), o.Base)
	require.True(t, o.Duplicate)
	require.Equal(t, talos.Offset(1), l.Range().End)
}

func TestALaterOwnerDeposesTheEarlierOne(t *testing.T) {
	r := newRig(t)
	old := r.open("a")
	r.append(old, plain("old"))
	now := r.open("b")
	o := <-send(old, plain("too late"))
	require.ErrorIs(t, o.err, talos.NotOwner)
	<-old.Done()
	require.ErrorIs(t, old.Err(), talos.NotOwner)
	r.append(now, plain("new"))
	require.Equal(t, []string{"0:old", "1:new"}, r.values(now, 0))
}

func TestAFailedAppendGoesOnInANewSegmentUnderTheSameOffsets(t *testing.T) {
	r := newRig(t)
	var appends atomic.Int32
	r.store = &hooked{Store: r.store, written: func(int) error {
		if appends.Add(1)%3 == 0 {
			return errInjected
		}
		return nil
	}}
	l := r.open("a")
	var want []string
	for i := range 30 {
		text := fmt.Sprint(i)
		require.Equal(t, talos.Offset(i), r.append(l, idempotent(text, 7, 0, int32(i))).Base)
		want = append(want, fmt.Sprintf("%d:%s", i, text))
	}
	require.Equal(t, want, r.values(l, 0))
	require.Greater(t, l.Stats().Segments, 5)
	l = r.open("b")
	require.Equal(t, want, r.values(l, 0), "what lies beyond the next base is noise")
}

func TestManyInFlightSurviveABrokenSegmentInOrder(t *testing.T) {
	r := newRig(t)
	r.topic.Config.SegmentBytes = 0
	var appends atomic.Int32
	r.store = &hooked{Store: r.store, written: func(int) error {
		if appends.Add(1)%7 == 0 {
			return errInjected
		}
		return nil
	}}
	l := r.open("a")
	const n = 2000
	var wg sync.WaitGroup
	bases := make([]talos.Offset, n)
	for i := range n {
		wg.Add(1)
		l.Append(idempotent(fmt.Sprint(i), 7, 0, int32(i)), func(a Appended, err error) {
			defer wg.Done()
			if err != nil {
				t.Error(err)
			}
			bases[i] = a.Base
		})
	}
	wg.Wait()
	for i, b := range bases {
		require.Equal(t, talos.Offset(i), b)
	}
	got := r.values(l, 0)
	require.Len(t, got, n)
	for i, v := range got {
		require.Equal(t, fmt.Sprintf("%d:%d", i, i), v)
	}
}

func TestAStoreThatTakesNoSegmentRefusesAppendsAndIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var full atomic.Bool
		r.store = &hooked{Store: r.store, create: func(storage.ID) error {
			if full.Load() {
				return errInjected
			}
			return nil
		}}
		l := r.open("a")
		full.Store(true)
		o := <-send(l, idempotent("x", 7, 0, 0))
		require.ErrorIs(t, o.err, talos.StoreUnavailable)
		epoch := l.Epoch()
		o = <-send(l, idempotent("x", 7, 0, 0))
		require.ErrorIs(t, o.err, talos.StoreUnavailable)
		require.Equal(t, epoch, l.Epoch(), "not tried again at once")

		full.Store(false)
		advance(startRetry)
		require.Equal(t, talos.Offset(0), r.append(l, idempotent("x", 7, 0, 0)).Base)
		require.Greater(t, l.Epoch(), talos.Epoch(1), "each failed create was left behind under an epoch of its own")
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestASegmentThatBreaksWhileTheStoreIsFullTakesBackWhatWasInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var full atomic.Bool
		fault := func() error {
			if full.Load() {
				return errInjected
			}
			return nil
		}
		r.store = &hooked{Store: r.store, create: func(storage.ID) error { return fault() }, written: func(int) error { return fault() }}
		l := r.open("a")
		r.append(l, idempotent("0", 7, 0, 0))
		full.Store(true)
		o := <-send(l, idempotent("1", 7, 0, 1))
		require.ErrorIs(t, o.err, talos.StoreUnavailable)
		require.Equal(t, []string{"0:0"}, r.values(l, 0), "reading goes on")
		full.Store(false)
		advance(startRetry)
		a := r.append(l, idempotent("1", 7, 0, 1))
		require.Equal(t, talos.Offset(1), a.Base)
		require.False(t, a.Duplicate, "it was never stored")
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestAnAmbiguousSwapIsLeftBehindUnderARaisedEpoch(t *testing.T) {
	for _, applied := range []bool{false, true} {
		t.Run(fmt.Sprintf("applied %v", applied), func(t *testing.T) {
			r := newRig(t)
			l := r.open("a")
			var failed atomic.Bool
			fail := func(op string) error {
				if op == "swap" && failed.CompareAndSwap(false, true) {
					return errInjected
				}
				return nil
			}
			if applied {
				r.records.after = fail
			} else {
				r.records.before = fail
			}
			require.Equal(t, talos.Offset(0), r.append(l, plain("x")).Base)
			require.Equal(t, talos.Epoch(2), l.Epoch())
			require.Equal(t, []string{"0:x"}, r.values(l, 0))
			l = r.open("b")
			require.Equal(t, []string{"0:x"}, r.values(l, 0))
		})
	}
}

func TestAnAmbiguousRaiseEndsTheLog(t *testing.T) {
	r := newRig(t)
	var creates atomic.Int32
	r.store = &hooked{Store: r.store, create: func(storage.ID) error {
		if creates.Add(1) == 1 {
			return errInjected
		}
		return nil
	}}
	l := r.open("a")
	r.records.after = func(op string) error {
		if op == "raise" {
			return &talos.Error{Kind: talos.MetaUnavailable}
		}
		return nil
	}
	o := <-send(l, plain("x"))
	require.ErrorIs(t, o.err, talos.MetaUnavailable)
	<-l.Done()
	r.records.after = func(string) error { return nil }
	l = r.open("a")
	require.Equal(t, talos.Offset(0), r.append(l, plain("x")).Base)
}

// Sealing writes to disk all that was only flushed, which may take long: whoever waits
// for the next segment does not wait for that.
func TestTheNextSegmentIsThereBeforeTheLastOneIsSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var mu sync.Mutex
		var order []string
		note := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, what)
		}
		r.topic.Config.SegmentBytes = talos.MinSegmentBytes
		store := &hooked{
			Store: r.store, seal: func() { note("seal") },
			create: func(storage.ID) error {
				advance(10 * time.Millisecond)
				note("create")
				return nil
			},
		}
		r.store = store
		l := r.open("a")
		var waits <-chan outcome
		store.written = func(size int) error {
			if size > talos.MinSegmentBytes && waits == nil {
				waits = send(l, plain("waits for the next segment"))
			}
			return nil
		}
		r.append(l, plain(strings.Repeat("x", talos.MinSegmentBytes)))
		require.NoError(t, (<-waits).err)
		synctest.Wait()
		mu.Lock()
		first := slices.Clone(order)
		mu.Unlock()
		require.Equal(t, []string{"create", "create", "seal"}, first)
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestCloseAnswersWhatWaitsAndSeals(t *testing.T) {
	r := newRig(t)
	l := r.open("a")
	var outcomes []<-chan outcome
	for i := range 100 {
		outcomes = append(outcomes, send(l, plain(fmt.Sprint(i))))
	}
	require.NoError(t, l.Close(t.Context()))
	for i, ch := range outcomes {
		o := <-ch
		require.NoError(t, o.err)
		require.Equal(t, talos.Offset(i), o.Base)
	}
	o := <-send(l, plain("late"))
	require.ErrorIs(t, o.err, talos.NotServing)
	_, err := l.Read(t.Context(), 0, 1)
	require.ErrorIs(t, err, talos.NotServing)

	listing, err := r.store.List(t.Context(), l.id.String())
	require.NoError(t, err)
	require.Len(t, listing.Segments, 1)
	require.True(t, listing.Segments[0].Sealed)
}

func TestCloseGivesUpWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		inner := r.store
		hang := make(chan struct{})
		r.store = &hooked{Store: inner, create: func(storage.ID) error { <-hang; return errInjected }}
		l := r.open("a")
		waiting := send(l, plain("x"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { <-ctx.Done(); close(hang) }()
		require.ErrorIs(t, l.Close(ctx), context.DeadlineExceeded)
		require.Error(t, (<-waiting).err)
		require.Error(t, l.Err())
	})
}

// An append that was with the store when the log was given up may be stored, so its
// answer must not be one that promises the contrary; one in the queue is not.
func TestWhatIsInFlightWhenALogIsGivenUpHasAnUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		never := make(chan struct{})
		r.store = faulty.New(r.store, faulty.Rules(faulty.Rule{Op: faulty.Append, Fault: faulty.Fault{After: faulty.Hang(never)}}))
		l := r.open("a")
		var inFlight []<-chan outcome
		for range maxInflight {
			inFlight = append(inFlight, send(l, plain("with the store")))
			synctest.Wait()
		}
		queued := send(l, plain("in the queue"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, l.Close(ctx), context.DeadlineExceeded)
		for _, ch := range inFlight {
			require.ErrorIs(t, (<-ch).err, talos.NotOwner)
		}
		require.ErrorIs(t, (<-queued).err, talos.NotServing)
		require.Equal(t, talos.Offset(maxInflight), r.open("b").Range().End, "they were stored")
	})
}

// Nor is an error of the log's own end one of the batches that wait for a segment.
func TestWhatWaitsForASegmentWhenALogIsGivenUpMayBeSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.store = faulty.New(r.store, faulty.Rules(faulty.Rule{Op: faulty.Create, Fault: faulty.Fault{Before: faulty.Hang(make(chan struct{}))}}))
		l := r.open("a")
		waiting := send(l, plain("waits"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, l.Close(ctx), context.DeadlineExceeded)
		require.ErrorIs(t, (<-waiting).err, talos.NotServing)
	})
}

func TestCloseGivesUpSealingWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		never := make(chan struct{})
		r.store = faulty.New(r.store, faulty.Rules(faulty.Rule{Op: faulty.Seal, Fault: faulty.Fault{Before: faulty.Hang(never)}}))
		l := r.open("a")
		r.append(l, plain("x"))
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, l.Close(ctx), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
	})
}

func TestStatsCountSegmentsThatBroke(t *testing.T) {
	r := newRig(t)
	var broken atomic.Bool
	r.store = &hooked{Store: r.store, written: func(int) error {
		if broken.CompareAndSwap(true, false) {
			return errInjected
		}
		return nil
	}}
	l := r.open("a")
	big := plain(strings.Repeat("x", 10_000))
	for range 3 {
		r.append(l, bytes.Clone(big))
		broken.Store(true)
	}
	require.Equal(t, 3, l.Stats().Segments)
	require.Greater(t, l.Stats().Bytes, int64(3*len(big)))
	live := l.Stats()
	l = r.open("b")
	require.Equal(t, live, l.Stats())
}

func TestTheQueueIsBounded(t *testing.T) {
	r := newRig(t)
	release := make(chan struct{})
	r.store = &hooked{Store: r.store, create: func(storage.ID) error { <-release; return nil }}
	l := r.open("a")
	big := strings.Repeat("x", 1<<20-batch.HeaderSize)
	refused := 0
	var taken []<-chan outcome
	for range 2 * maxQueueBytes >> 20 {
		ch := send(l, plain(big))
		select {
		case o := <-ch:
			require.ErrorIs(t, o.err, talos.QueueFull)
			refused++
		default:
			taken = append(taken, ch)
		}
	}
	require.Equal(t, maxQueueBytes>>20, refused)
	close(release)
	for _, ch := range taken {
		require.NoError(t, (<-ch).err)
	}
}

func TestAnIdlePartitionClosesItsSegmentAndForgetsItsTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.store = &hooked{Store: r.store, traits: &storage.Traits{IdleClose: 5 * time.Minute, OrderedTail: true}}
		l := r.open("a")
		r.append(l, plain("x"))
		advance(5*time.Minute - time.Second)
		require.NotNil(t, l.view.Load().open)
		advance(2 * time.Second)
		synctest.Wait()
		require.Nil(t, l.view.Load().open)
		require.Empty(t, *l.tail.groups.Load())
		require.Equal(t, []string{"0:x"}, r.values(l, 0))
		require.Equal(t, talos.Offset(1), r.append(l, plain("y")).Base)
		require.Equal(t, []string{"0:x", "1:y"}, r.values(l, 0))
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestChangedWakesAtEachAcknowledgement(t *testing.T) {
	r := newRig(t)
	l := r.open("a")
	changed := l.Changed()
	end := l.Range().End
	r.append(l, plain("x"))
	<-changed
	require.Greater(t, l.Range().End, end)
	changed = l.Changed()
	require.NoError(t, l.Close(t.Context()))
	<-changed
}

func TestATopicThatIsGoneCanNotBeOpened(t *testing.T) {
	r := newRig(t)
	r.records.before = func(string) error { return &talos.Error{Kind: talos.UnknownTopic} }
	_, err := Open(t.Context(), r.config("a"))
	require.ErrorIs(t, err, talos.UnknownTopic)
}
