package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// memory is a Log in memory; fail makes its appends fail, hold makes them wait.
type memory struct {
	mu      sync.Mutex
	batches [][]byte
	bases   []talos.Offset
	rng     talos.OffsetRange
	appends int
	fail    error
	hold    chan struct{}
	done    chan struct{}
}

func newMemory() *memory { return &memory{done: make(chan struct{})} }

func (l *memory) Append(b []byte) error {
	l.mu.Lock()
	hold := l.hold
	l.mu.Unlock()
	if hold != nil {
		<-hold
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	h, err := batch.Parse(b)
	if err != nil {
		return err
	}
	batch.Place(b, l.rng.End, 1)
	l.batches, l.bases = append(l.batches, b), append(l.bases, l.rng.End)
	l.rng.End += talos.Offset(h.LastDelta) + 1
	l.appends++
	return nil
}

func (l *memory) Read(_ context.Context, offset talos.Offset, _ int) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.bases) - 1; i >= 0; i-- {
		if l.bases[i] <= offset {
			return l.batches[i], nil
		}
	}
	return nil, errors.New("nothing there")
}

func (l *memory) Range() talos.OffsetRange {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rng
}

func (l *memory) Trim(_ context.Context, offset talos.Offset) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rng.Start = max(l.rng.Start, offset)
	return nil
}

func (l *memory) Done() <-chan struct{} { return l.done }

// sums is a machine: numbers by name of one byte, which events add to.
type sums struct {
	all    map[byte]uint64
	events [][]byte
	// settled counts.
	settled int
}

func newSums() *sums { return &sums{all: make(map[byte]uint64)} }

func (s *sums) add(name byte, n uint64) {
	e := binary.AppendUvarint([]byte{name}, n)
	_ = s.Apply(e)
	s.events = append(s.events, e)
}

func (s *sums) Apply(e []byte) error {
	n, _ := binary.Uvarint(e[1:])
	s.all[e[0]] += n
	return nil
}

func (s *sums) Settle(time.Time) time.Time { s.settled++; return time.Time{} }

func (s *sums) Take() [][]byte {
	events := s.events
	s.events = nil
	return events
}

func (s *sums) Snapshot(yield func([]byte) bool) {
	for name, n := range s.all {
		if !yield(binary.AppendUvarint([]byte{name}, n)) {
			return
		}
	}
}

func (s *sums) Reset() { s.all = make(map[byte]uint64) }

// open opens a journal that ends with the test.
func open(t *testing.T, log Log, options Options) *Journal[*sums] {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		workers.Wait()
	})
	j, err := Open(ctx, log, newSums(), options, &workers)
	require.NoError(t, err)
	return j
}

func content(t *testing.T, j *Journal[*sums]) map[byte]uint64 {
	t.Helper()
	all := make(map[byte]uint64)
	require.NoError(t, j.Do(t.Context(), func(*sums) {}, func(s *sums) {
		for name, n := range s.all {
			all[name] = n
		}
	}))
	return all
}

func TestWhatIsDoneIsThereForTheNextOne(t *testing.T) {
	log := newMemory()
	j := open(t, log, Options{})
	for i := range 10 {
		require.NoError(t, j.Do(t.Context(), func(s *sums) { s.add(byte(i%2), 1) }, nil))
	}
	require.Equal(t, map[byte]uint64{0: 5, 1: 5}, content(t, j))
	require.Equal(t, map[byte]uint64{0: 5, 1: 5}, content(t, open(t, log, Options{})))
}

func TestCommandsThatWaitAreOneAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemory()
		log.hold = make(chan struct{})
		j := open(t, log, Options{})
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { require.NoError(t, j.Do(t.Context(), func(s *sums) { s.add(0, 1) }, nil)) })
		}
		synctest.Wait()
		close(log.hold)
		all.Wait()
		require.LessOrEqual(t, log.appends, 2)
		require.Equal(t, map[byte]uint64{0: 100}, content(t, j))
	})
}

func TestNothingIsAnsweredBeforeItIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemory()
		log.hold = make(chan struct{})
		j := open(t, log, Options{})
		answered := make(chan error, 2)
		go func() { answered <- j.Do(t.Context(), func(s *sums) { s.add(0, 1) }, nil) }()
		synctest.Wait()
		// Also not one that only looks: it would see what may be lost.
		go func() { answered <- j.Do(t.Context(), func(*sums) {}, nil) }()
		synctest.Wait()
		require.Empty(t, answered)
		log.fail = errors.New("the store is away")
		close(log.hold)
		for range 2 {
			require.ErrorIs(t, <-answered, talos.NotServing)
		}
		<-j.Done()
		log.fail = nil
		require.Empty(t, content(t, open(t, log, Options{})))
	})
}

func TestSnapshotsTrimTheLog(t *testing.T) {
	log := newMemory()
	j := open(t, log, Options{SnapshotBytes: 1000})
	for range 100 {
		require.NoError(t, j.Do(t.Context(), func(s *sums) { s.add(7, 1) }, nil))
	}
	require.Positive(t, log.Range().Start)
	require.Equal(t, map[byte]uint64{7: 100}, content(t, open(t, log, Options{})))
}

// TestUnfinishedSnapshotsArePassedOver plays a writer that dies in the middle of
// one, after each of its appends.
func TestUnfinishedSnapshotsArePassedOver(t *testing.T) {
	for _, records := range [][]byte{{keyBegin}, {keyBegin, keyItem}, {keyBegin, keyItem, keyBegin, keyItem, keyEnd}} {
		t.Run(strconv.Itoa(len(records)), func(t *testing.T) {
			log := newMemory()
			j := open(t, log, Options{})
			require.NoError(t, j.Do(t.Context(), func(s *sums) { s.add(1, 5) }, nil))
			w := newWriter(log)
			for _, key := range records {
				require.NoError(t, w.add(key, [][]byte{{1, 5}}))
				require.NoError(t, w.flush())
			}
			again := open(t, log, Options{})
			require.NoError(t, again.Do(t.Context(), func(s *sums) { s.add(1, 1) }, nil))
			require.Equal(t, map[byte]uint64{1: 6}, content(t, open(t, log, Options{})))
		})
	}
}

func TestNewerRecordsAreNotPassedOver(t *testing.T) {
	log := newMemory()
	w := newWriter(log)
	require.NoError(t, w.add(keyEnd+1, [][]byte{{1}}))
	require.NoError(t, w.flush())
	var workers sync.WaitGroup
	_, err := Open(t.Context(), log, newSums(), Options{}, &workers)
	require.ErrorIs(t, err, talos.NewerFormat)
}

func TestAPanicEndsTheJournalAlone(t *testing.T) {
	log := newMemory()
	j := open(t, log, Options{})
	require.ErrorIs(t, j.Do(t.Context(), func(*sums) { panic("a fault") }, nil), talos.Internal)
	require.Empty(t, content(t, open(t, log, Options{})))
}

// impatient is a machine that notes what it was settled after.
type impatient struct {
	*sums
	next time.Duration
	seen []uint64
}

func (m *impatient) Settle(now time.Time) time.Time {
	m.seen = append(m.seen, m.all[0])
	return now.Add(m.next)
}

// When an append took so long that time is up for much, what came meanwhile is heard
// before anything is concluded.
func TestWhatWaitsIsHeardBeforeTimeIsUp(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			log := newMemory()
			log.hold = make(chan struct{})
			var workers sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			m := &impatient{sums: newSums(), next: time.Second}
			j, err := Open(ctx, log, m, Options{}, &workers)
			require.NoError(t, err)
			var all sync.WaitGroup
			ask := func() {
				all.Go(func() { _ = j.Do(ctx, func(m *impatient) { m.add(0, 1) }, nil) })
				synctest.Wait()
			}
			ask() // is stuck
			time.Sleep(time.Minute)
			ask()
			hold := log.hold
			close(hold)
			all.Wait()
			cancel()
			workers.Wait()
			require.Contains(t, m.seen, uint64(2))
			require.NotContains(t, m.seen[slices.Index(m.seen, 1)+1:], uint64(1))
		})
	}
}
