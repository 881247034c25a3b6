package partition

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// wishful is a store that asks for another segment when roll is closed, and notes
// what it is asked for.
type wishful struct {
	storage.Store
	traits       storage.Traits
	roll         chan struct{}
	durabilities []talos.Durability

	mu      sync.Mutex // guards appends: footers come from the background
	appends []int
}

func (w *wishful) Traits() storage.Traits { return w.traits }

func (w *wishful) Create(ctx context.Context, id storage.ID, head []byte, d talos.Durability) (storage.Appender, error) {
	a, err := w.Store.Create(ctx, id, head, d)
	w.durabilities = append(w.durabilities, d)
	return &wishfulAppender{a, w, w.roll}, err
}

type wishfulAppender struct {
	storage.Appender
	store *wishful
	roll  chan struct{}
}

func (a *wishfulAppender) Roll() <-chan struct{} { return a.roll }

func (a *wishfulAppender) Append(p []byte, done func(error)) {
	a.store.mu.Lock()
	a.store.appends = append(a.store.appends, len(p))
	a.store.mu.Unlock()
	a.Appender.Append(p, done)
}

func TestASegmentIsSealedWhenTheStoreAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		store := &wishful{Store: r.store, roll: make(chan struct{})}
		r.store = store
		l := r.open("a")
		r.append(l, plain("x"))
		require.NotNil(t, l.view.Load().open)
		close(store.roll)
		store.roll = make(chan struct{})
		synctest.Wait()
		require.Nil(t, l.view.Load().open, "sealed, though nothing is appended")
		require.Equal(t, 1, l.Stats().Segments, "and none begun in its place")
		require.Equal(t, talos.Offset(1), r.append(l, plain("y")).Base)
		require.Equal(t, 2, l.Stats().Segments)
		require.Equal(t, []string{"0:x", "1:y"}, r.values(l, 0))
		require.NoError(t, l.Close(t.Context()))
	})
}

// The next segment is begun before the last one is sealed. Here it gets nothing, for
// what waited was sent before, and the store wants another one in its place at once.
func TestASegmentIsSealedAlsoIfTheNextOneGetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.topic.Config.SegmentBytes = talos.MinSegmentBytes
		created, sealed := 0, atomic.Int32{}
		below := &hooked{Store: r.store, seal: func() { sealed.Add(1) }}
		store := &wishful{Store: below, roll: make(chan struct{})}
		below.create = func(storage.ID) error {
			if created++; created == 2 {
				close(store.roll)
			}
			return nil
		}
		r.store = store
		l := r.open("a")
		once := func() []byte { return idempotent("once", 7, 0, 0) }
		r.append(l, once())
		var again <-chan outcome
		below.written = func(size int) error {
			if size > talos.MinSegmentBytes && again == nil {
				store.roll = make(chan struct{}) // of the second one only
				again = send(l, once())
			}
			return nil
		}
		r.append(l, plain(strings.Repeat("x", talos.MinSegmentBytes)))
		o := <-again
		require.NoError(t, o.err)
		require.True(t, o.Duplicate)
		synctest.Wait()
		require.NoError(t, l.Close(t.Context()))
		require.Equal(t, 2, created)
		require.EqualValues(t, created, sealed.Load())
	})
}

func TestAppendsOfASegmentKeepTheStoresInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		store := &wishful{Store: r.store, traits: storage.Traits{CommitInterval: 100 * time.Millisecond, OrderedTail: true}}
		r.store = store
		l := r.open("a")
		begun := time.Now()
		r.append(l, plain("idle before: at once"))
		require.Zero(t, time.Since(begun))
		var waiting []<-chan outcome
		for range 10 {
			waiting = append(waiting, send(l, plain("gathers")))
			advance(time.Millisecond)
		}
		for _, w := range waiting {
			require.NoError(t, (<-w).err)
		}
		require.Equal(t, 100*time.Millisecond, time.Since(begun))
		require.Len(t, store.appends, 2, "the ten are one append")
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestASegmentHasACheckpointAfterTheAppendsThatTheStoreNames(t *testing.T) {
	r := newRig(t)
	store := &wishful{Store: r.store, traits: storage.Traits{CheckpointAppends: 4, OrderedTail: true}}
	r.store = store
	l := r.open("a")
	for range 12 {
		r.append(l, plain(strings.Repeat("x", 10_000)))
	}
	require.NoError(t, l.Close(t.Context()))
	require.Len(t, store.appends, 12+3+1, "twelve of records, three checkpoints, a footer")
}

// hurried is a store whose commit interval is over in no time.
type hurried struct{ storage.Store }

func (hurried) Traits() storage.Traits {
	return storage.Traits{CommitInterval: 10 * time.Microsecond, OrderedTail: true}
}

// In real time the interval may end between any two looks at the clock.
func TestNoAppendIsForgottenWhenTheIntervalEnds(t *testing.T) {
	r := newRig(t)
	r.store = hurried{r.store}
	l := r.open("a")
	for n := range 3000 {
		first, second := send(l, plain("x")), send(l, plain("y"))
		for _, sent := range []<-chan outcome{first, second} {
			select {
			case o := <-sent:
				require.NoError(t, o.err)
			case <-time.After(time.Minute):
				require.FailNow(t, "an append was forgotten", "number %d", n)
			}
		}
	}
	require.NoError(t, l.Close(t.Context()))
}

func TestASegmentStaysBelowWhatTheStoreHolds(t *testing.T) {
	r := newRig(t)
	r.topic.Config = talos.TopicConfig{} // 256 MiB
	store := &wishful{Store: r.store, traits: storage.Traits{SegmentBytes: segmentReserve + talos.MinSegmentBytes}}
	r.store = store
	l := r.open("a")
	for range 5 {
		r.append(l, plain(string(make([]byte, talos.MinSegmentBytes/2))))
	}
	require.Equal(t, 3, l.Stats().Segments)
	require.NoError(t, l.Close(t.Context()))
}

func TestTheStoreIsToldTheTopicsDurability(t *testing.T) {
	for d, want := range map[talos.Durability]talos.Durability{"": talos.Sync, talos.Flush: talos.Flush} {
		r := newRig(t)
		r.topic.Config.Durability = d
		store := &wishful{Store: r.store}
		r.store = store
		l := r.open("a")
		r.append(l, plain("x"))
		require.Equal(t, []talos.Durability{want}, store.durabilities)
		require.NoError(t, l.Close(t.Context()))
	}
}
