package faults_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
)

const (
	// answerTime bounds the time to any answer, good or bad, over a store that
	// heeds contexts: the segment in writing gets 20 s, each of two attempts at a
	// new one 30 s.
	answerTime = 80 * time.Second
	// waitingBytes bounds what waits in memory: 32 MiB in the queue, and four
	// appends of about 2 MiB.
	waitingBytes = 32<<20 + 4*(2<<20) + 1<<20
	floodSize    = 1 << 20
	flooders     = 48
	closeTime    = 5 * time.Second
)

// stall is a store that hangs for a while.
type stall struct {
	after bool // calls take effect, and hang then

	mu      sync.Mutex    // guards release
	release chan struct{} // nil if nothing hangs
}

func (s *stall) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release = make(chan struct{})
}

// end lets everything go on; calling it again does nothing.
func (s *stall) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.release != nil {
		close(s.release)
		s.release = nil
	}
}

// step hangs while the store does; nil if it does not.
func (s *stall) step() faulty.Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.release == nil {
		return nil
	}
	return faulty.Hang(s.release)
}

func (s *stall) hook(faulty.Call) faulty.Fault {
	if s.after {
		return faulty.Fault{After: s.step()}
	}
	return faulty.Fault{Before: s.step()}
}

// stalledDisk is a file system whose syncs hang in the kernel, where no context
// reaches them.
type stalledDisk struct {
	local.OS
	stall *stall
}

func (d stalledDisk) OpenFile(name string, flag int) (local.File, error) {
	f, err := d.OS.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	return stalledFile{f, d.stall}, nil
}

type stalledFile struct {
	local.File
	stall *stall
}

func (f stalledFile) Datasync() error {
	if hang := f.stall.step(); hang != nil {
		return hang(context.Background())
	}
	return f.File.Datasync()
}

const disk = "in each sync of a disk"

// stores are the ways to hang.
var stores = map[string]func(*testing.T) (storage.Store, *stall){
	"before each call": func(*testing.T) (storage.Store, *stall) {
		s := &stall{}
		return faulty.New(mem.New(), s.hook), s
	},
	"after each call": func(*testing.T) (storage.Store, *stall) {
		s := &stall{after: true}
		return faulty.New(mem.New(), s.hook), s
	},
	disk: onDisk,
}

func onDisk(t *testing.T) (storage.Store, *stall) {
	s := &stall{}
	store, err := local.Open(t.TempDir(), local.Options{FS: stalledDisk{stall: s}})
	require.NoError(t, err)
	return store, s
}

func TestAStoreThatHangs(t *testing.T) {
	for name, open := range stores {
		for _, c := range []struct {
			when string
			warm bool
			hang time.Duration
		}{
			{"30 s while a segment is written", true, 30 * time.Second},
			{"30 s before the first segment", false, 30 * time.Second},
			{"longer than any call may take", true, 5 * time.Minute},
		} {
			t.Run(name+", "+c.when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store, s := open(t)
					bound := answerTime
					if name == disk {
						bound = c.hang // nothing but the disk can end it
					}
					survive(t, store, s, c.warm, c.hang, bound)
				})
			})
		}
	}
}

// survive lets many producers send more than may wait while the store hangs.
func survive(t *testing.T, store storage.Store, s *stall, warm bool, hang, bound time.Duration) {
	r := newRig(t, store, 16<<20)
	l, early := r.open(), newProducer(t, 1000, 10)
	if warm {
		early.deliver(l, 10)
	}
	s.begin()
	began := time.Now()
	pause := hang / 10
	f := startFlood(t, l, s, pause)
	<-time.After(time.Second)
	synctest.Wait()
	require.LessOrEqual(t, f.waiting.Load(), int64(waitingBytes))
	require.Greater(t, f.waiting.Load(), int64(waitingBytes/2))
	requireStored(t, l, 0, early) // reading the tail goes on, and shows nothing new

	<-time.After(hang - time.Second)
	s.end()
	f.producers.Wait()
	require.LessOrEqual(t, time.Since(began), hang+2*pause, "everything goes on once the store is back")
	require.LessOrEqual(t, f.longest(), bound)
	require.Positive(t, f.met()[talos.QueueFull])
	require.NoError(t, l.Err())

	early.deliver(l, 20)
	all := append([]*producer{early}, f.all...)
	requireStored(t, l, 0, all...)
	requireStored(t, r.reopen(l), 0, all...)
}

// flood is many producers with one large batch each, who send it until it is
// acknowledged.
type flood struct {
	all       []*producer
	waits     []time.Duration // the longest to any answer of each
	producers sync.WaitGroup
	waiting   atomic.Int64 // bytes without an answer
}

func startFlood(t *testing.T, l *partition.Log, s *stall, pause time.Duration) *flood {
	f := &flood{waits: make([]time.Duration, flooders)}
	t.Cleanup(func() { // also if the test ends early
		s.end()
		f.producers.Wait()
	})
	for i := range flooders {
		p := newProducer(t, int64(i), floodSize)
		f.all = append(f.all, p)
		f.producers.Go(func() {
			for len(p.bases) == 0 && l.Err() == nil && !t.Failed() {
				sent := time.Now()
				f.waiting.Add(floodSize)
				err := p.round(l, 1)
				f.waiting.Add(-floodSize)
				f.waits[i] = max(f.waits[i], time.Since(sent))
				if err != nil {
					<-time.After(pause)
				}
			}
		})
	}
	return f
}

// longest is the longest time to any answer, once all producers are done.
func (f *flood) longest() (longest time.Duration) {
	for _, w := range f.waits {
		longest = max(longest, w)
	}
	return longest
}

// met counts the errors, once all producers are done.
func (f *flood) met() map[talos.Kind]int {
	kinds := map[talos.Kind]int{}
	for _, p := range f.all {
		for _, err := range p.met {
			kinds[talos.KindOf(err)]++
		}
	}
	return kinds
}

// Close gives up at its deadline whatever hangs, and the next owner has what was
// acknowledged, once the store is back.
func TestClosingWhileTheStoreHangs(t *testing.T) {
	for name, open := range stores {
		if name == disk {
			continue // see TestClosingWaitsForADiskThatHangsInTheKernel
		}
		for _, c := range []struct {
			when             string
			before, unstored int
			want             talos.Kind
		}{
			// What the store has may be stored, so it is not refused with NotServing.
			{"with appends in flight", 10, 3, talos.NotOwner},
			{"with the first segment in creation", 0, 3, talos.NotServing},
			{"with nothing but the seal to do", 10, 0, ""},
		} {
			t.Run(name+" "+c.when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store, s := open(t)
					r, p := newRig(t, store, 1<<20), newProducer(t, 1, 1000)
					l := r.open()
					t.Cleanup(s.end)
					p.deliver(l, c.before)
					s.begin()
					answers := p.start(l, c.unstored)
					<-time.After(time.Second)

					began := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), closeTime)
					defer cancel()
					require.ErrorIs(t, l.Close(ctx), context.DeadlineExceeded)
					require.Equal(t, closeTime, time.Since(began))
					requireGivenUp(t, l, p, answers, c.want)

					s.end()
					goOn(r, p, c.before)
				})
			})
		}
	}
}

// A call that hangs in the kernel can't be ended by anybody, and the log does not
// leave a goroutine behind: here Close returns when the disk is back, and no
// sooner. The producers do not wait for that.
func TestClosingWaitsForADiskThatHangsInTheKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := onDisk(t)
		r, p := newRig(t, store, 1<<20), newProducer(t, 1, 1000)
		l := r.open()
		t.Cleanup(s.end)
		p.deliver(l, 10)
		s.begin()
		answers := p.start(l, 3)
		<-time.After(time.Second)

		ctx, cancel := context.WithTimeout(t.Context(), closeTime)
		defer cancel()
		closed := make(chan error, 1)
		go func() { closed <- l.Close(ctx) }()
		<-time.After(closeTime + time.Second)
		for _, answer := range answers {
			require.Len(t, answer, 1)
		}
		<-time.After(time.Minute)
		require.Empty(t, closed)

		s.end()
		require.ErrorIs(t, <-closed, context.DeadlineExceeded)
		requireGivenUp(t, l, p, answers, talos.NotOwner)
		goOn(r, p, 10)
	})
}

func requireGivenUp(t *testing.T, l *partition.Log, p *producer, answers []<-chan outcome, want talos.Kind) {
	t.Helper()
	require.ErrorIs(t, l.Err(), talos.NotServing)
	if len(answers) > 0 {
		require.ErrorIs(t, p.finish(answers), want)
	}
}

// goOn opens the partition again and sends on from what was acknowledged.
func goOn(r *rig, p *producer, acked int) {
	r.t.Helper()
	require.Len(r.t, p.bases, acked)
	l := r.open()
	stored(r.t, l, 0, p)
	p.deliver(l, acked+20)
	requireStored(r.t, l, 0, p)
}
