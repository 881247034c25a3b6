package local_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/storage/local/crashfs"
)

const (
	crashSeeds = 8
	// crashCalls is how many calls a script makes; maxHeldUp is how many operations
	// of the file system may be held up when it makes one more.
	crashCalls = 40
	maxHeldUp  = 4
	crashRoot  = "/data/talos"
)

// TestNoCrashBreaksAPromise runs random scripts of calls on one store, several
// at a time. Each operation of the file system that changes something is held
// up, and one after the other let go; after each one the test looks at what
// crashes at that moment would leave.
func TestNoCrashBreaksAPromise(t *testing.T) {
	for seed := range uint64(crashSeeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newCrashScript(t.Context(), seed)
				err := s.run()
				s.finish()
				require.NoError(t, err, "seed %d, after\n%s", seed, strings.Join(s.trace, "\n"))
				t.Logf("seed %d: crashes after each of %d operations, %d in all", seed, s.operations, s.crashes)
			})
		})
	}
}

// TestTheSameSeedRunsTheSameScript is what a printed seed is worth.
func TestTheSameSeedRunsTheSameScript(t *testing.T) {
	trace := func() (trace []string) {
		synctest.Test(t, func(t *testing.T) {
			s := newCrashScript(t.Context(), 1)
			for s.open(); s.step(); {
				trace = append(trace, fmt.Sprint(s.gate.Waiting()))
			}
			trace = append(trace, s.trace...)
		})
		return trace
	}
	first := trace()
	require.Equal(t, first, trace())
}

// crashScript is one script and what it was promised. Its own goroutine acts
// only while all others wait.
type crashScript struct {
	ctx  context.Context
	rng  *rand.Rand
	gate *crashfs.Gate
	fs   *crashfs.FS

	calls, operations, crashes int
	trace                      []string

	mu       sync.Mutex // guards the fields below, and those of the promises
	store    *local.Store
	promises []*promise
	// broken is a promise that was broken, or a call that failed, without a crash.
	broken error
}

func newCrashScript(ctx context.Context, seed uint64) *crashScript {
	s := &crashScript{ctx: ctx, rng: rand.New(rand.NewPCG(seed, 0)), gate: &crashfs.Gate{}}
	s.fs = crashfs.New(s.gate.Enter)
	return s
}

func (s *crashScript) run() error {
	s.open()
	for s.step() && s.broken == nil {
		if err := s.crash(); err != nil {
			return err
		}
	}
	return s.broken
}

// open opens the store, which is held up as well.
func (s *crashScript) open() {
	s.call("open", func() error {
		store, err := local.Open(crashRoot, local.Options{FS: s.fs})
		return s.note(err, func() error { s.store = store; return nil })
	})
}

// step perhaps makes calls, and lets one operation happen. It returns false when
// the script is over.
func (s *crashScript) step() bool {
	for s.store != nil && s.calls < crashCalls &&
		(s.gate.Waiting() == 0 || s.gate.Waiting() < maxHeldUp && s.rng.IntN(3) == 0) {
		s.calls++
		s.makeCall()
	}
	waiting := s.gate.Waiting()
	if waiting == 0 {
		return false
	}
	s.operations++
	s.say("  " + s.gate.Let(s.rng.IntN(waiting)))
	synctest.Wait()
	return true
}

// call makes a call on a goroutine of its own, and returns when that is held up
// or has returned.
func (s *crashScript) call(what string, run func() error) {
	s.say(what)
	go func() {
		if err := run(); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.broken = fmt.Errorf("%s: %w", what, err)
		}
	}()
	synctest.Wait()
}

// note records what a call that returned no error has promised.
func (s *crashScript) note(err error, promised func() error) error {
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return promised()
}

func (s *crashScript) say(what string) {
	if before, random, found := strings.Cut(what, ".creating/"); found {
		_, after, _ := strings.Cut(random, " ")
		what = before + ".creating/* " + after
	}
	s.trace = append(s.trace, strings.TrimRight(what, " "))
}

// finish lets all that is held up end.
func (s *crashScript) finish() {
	for s.gate.Waiting() > 0 {
		s.gate.Let(0)
		synctest.Wait()
	}
}

// crash looks at what crashes at this moment would leave.
func (s *crashScript) crash() error {
	for _, cut := range []struct {
		what string
		pick crashfs.Pick
	}{
		{"drops all that was not synced", crashfs.Nothing},
		{"keeps everything", crashfs.Everything},
		{"keeps some", s.rng.IntN},
		{"keeps something else", s.rng.IntN},
	} {
		s.crashes++
		if err := s.survives(s.fs.PowerCut(cut.pick), false); err != nil {
			return fmt.Errorf("after a power cut that %s: %w", cut.what, err)
		}
	}
	if s.store == nil {
		return nil // Open takes a root for durable that a killed one has left
	}
	s.crashes++
	if err := s.survives(s.fs.Killed(), true); err != nil {
		return fmt.Errorf("after a kill: %w", err)
	}
	return nil
}
