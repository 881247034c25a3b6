package faulty_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
)

// writer appends through a store with one fault on its n-th append.
type writer struct {
	t        *testing.T
	inner    *mem.Store
	appender storage.Appender
	outcome  []error // grows in the bubble of one synctest, read after Wait
}

func newWriter(t *testing.T, rule faulty.Rule) *writer {
	t.Helper()
	w := &writer{t: t, inner: mem.New()}
	rule.Op = faulty.Append
	a, err := faulty.New(w.inner, faulty.Rules(rule)).Create(t.Context(), id, []byte("head;"), talos.Sync)
	require.NoError(t, err)
	w.appender = a
	t.Cleanup(a.Abandon)
	return w
}

// append starts appends and returns all outcomes as far as they are known.
func (w *writer) append(all ...string) []error {
	for _, p := range all {
		w.appender.Append([]byte(p), func(err error) { w.outcome = append(w.outcome, err) })
	}
	synctest.Wait()
	return w.outcome
}

// content returns what the inner store has.
func (w *writer) content() string {
	r, err := w.inner.Open(w.t.Context(), id)
	require.NoError(w.t, err)
	size, err := r.Size(w.t.Context())
	require.NoError(w.t, err)
	p := make([]byte, size)
	_, err = r.ReadAt(w.t.Context(), p, 0)
	require.NoError(w.t, err)
	return string(p)
}

func TestAnAppendThatFailsBeforeIsNotWrittenNorAnyLaterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(t, faulty.Rule{N: 2, Fault: faulty.Fault{Before: faulty.Fail(errDisk)}})
		require.Equal(t, []error{nil, errDisk, storage.ErrDead}, w.append("1;", "2;", "3;"))
		require.Equal(t, "head;1;", w.content())
		require.ErrorIs(t, w.appender.Seal(t.Context()), storage.ErrDead)
	})
}

func TestAnAppendThatFailsAfterIsWrittenAndTheAppenderDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(t, faulty.Rule{N: 2, Fault: faulty.Fault{After: faulty.Fail(errDisk)}})
		require.Equal(t, []error{nil, errDisk}, w.append("1;", "2;"))
		require.Equal(t, []error{nil, errDisk, storage.ErrDead}, w.append("3;"))
		require.Equal(t, "head;1;2;", w.content())
		require.ErrorIs(t, w.appender.Seal(t.Context()), storage.ErrDead)
	})
}

func TestAnAppendThatWasWrittenBehindAFailedOneIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hangThenFail := func(ctx context.Context) error {
			return errors.Join(faulty.Hang(release)(ctx), errDisk)
		}
		w := newWriter(t, faulty.Rule{N: 1, Fault: faulty.Fault{After: hangThenFail}})
		require.Empty(t, w.append("1;", "2;"))
		require.Equal(t, "head;1;2;", w.content(), "both are durable before the first one fails")
		close(release)
		outcome := w.append()
		require.ErrorIs(t, outcome[0], errDisk)
		require.Equal(t, storage.ErrDead, outcome[1])
	})
}

func TestATornAppendIsWrittenInPart(t *testing.T) {
	for _, c := range []struct {
		bytes int
		want  string
	}{{0, "head;1;"}, {3, "head;1;sec"}, {100, "head;1;second;"}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWriter(t, faulty.Rule{N: 2, Fault: faulty.Fault{Tear: true, TornBytes: c.bytes}})
			outcome := w.append("1;", "second;", "3;")
			require.Len(t, outcome, 3)
			require.NoError(t, outcome[0])
			require.ErrorContains(t, outcome[1], "torn")
			require.Equal(t, storage.ErrDead, outcome[2])
			require.Equal(t, c.want, w.content())
		})
	}
}

func TestAnAppendHeldBeforeItIsWrittenIsStoppedByRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := newWriter(t, faulty.Rule{N: 2, Fault: faulty.Fault{Before: faulty.Hang(release)}})
		require.Equal(t, []error{nil}, w.append("1;", "2;", "3;"))
		info, err := w.inner.Recover(t.Context(), id)
		require.NoError(t, err)
		close(release)
		require.Equal(t, []error{nil, storage.ErrDead, storage.ErrDead}, w.append())
		require.Equal(t, int64(len("head;1;")), info.Size)
		require.Equal(t, "head;1;", w.content())
	})
}

func TestAnAppendHeldAfterItIsWrittenIsInsideTheRecoveredLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := newWriter(t, faulty.Rule{N: 2, Fault: faulty.Fault{After: faulty.Hang(release)}})
		require.Equal(t, []error{nil}, w.append("1;", "2;"))
		info, err := w.inner.Recover(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, int64(len("head;1;2;")), info.Size)
		close(release)
		require.Equal(t, []error{nil, nil, storage.ErrDead}, w.append("3;"))
	})
}

func TestAbandonEndsAStepThatHangs(t *testing.T) {
	for name, fault := range map[string]faulty.Fault{
		"before": {Before: faulty.Hang(nil)},
		"after":  {After: faulty.Hang(nil)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWriter(t, faulty.Rule{N: 1, Fault: fault})
				require.Empty(t, w.append("1;", "2;"))
				w.appender.Abandon()
				require.Equal(t, []error{storage.ErrDead, storage.ErrDead}, w.append())
			})
		})
	}
}

func TestSealWaitsForAHeldAppendUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := newWriter(t, faulty.Rule{N: 1, Fault: faulty.Fault{After: faulty.Hang(release)}})
		w.append("1;")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, w.appender.Seal(ctx), context.Canceled)
		close(release)
		require.NoError(t, w.appender.Seal(t.Context()))
		require.Equal(t, []error{nil}, w.append())
	})
}

func TestAFunctionCanRunBetweenDurableAndAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *writer
		var content string
		var acknowledged int
		w = newWriter(t, faulty.Rule{N: 2, Fault: faulty.Fault{After: faulty.Do(func() {
			content, acknowledged = w.content(), len(w.outcome)
		})}})
		w.append("1;", "2;")
		require.Equal(t, "head;1;2;", content)
		require.Equal(t, 1, acknowledged)
	})
}
