package hdfs

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// DataNodes that fail again and again must not make their return be noticed ever
// later: after a success the next probe comes soon again.
func TestAfterASuccessProbesComeSoonAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &Store{log: slog.New(slog.DiscardHandler), open: newOpenSegments(10, newMetrics()), ctx: ctx}
		outcomes := []error{errors.New("two of three"), errors.New("two of three"), nil, nil, nil}
		begun := time.Now()
		var at []time.Duration
		u := &upkeep{store: s, first: probeFirst, knock: func() bool { return false }}
		u.probe = func() error {
			at = append(at, time.Since(begun))
			// The next one lacks a replica as well.
			time.AfterFunc(time.Second, func() { s.open.enter(true) })
			if len(at) == len(outcomes) {
				cancel()
			}
			return outcomes[len(at)-1]
		}
		s.open.enter(true)
		u.watch()
		s.work.Wait()
		soon := probeFirst
		require.Equal(t, []time.Duration{soon, 3 * soon, 7 * soon, 8 * soon, 9 * soon}, at)
	})
}

// A DataNode that listens again is asked for soon, and once more until it is known.
func TestADataNodeThatIsBackIsProbedForSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &Store{log: slog.New(slog.DiscardHandler), open: newOpenSegments(10, newMetrics()), ctx: ctx}
		begun := time.Now()
		knocks := 0
		var at []time.Duration
		u := &upkeep{store: s, first: probeFirst, knock: func() bool { knocks++; return knocks == 3 }}
		u.probe = func() error {
			at = append(at, time.Since(begun))
			if len(at) == 3 {
				cancel()
				return nil
			}
			return errors.New("the NameNode does not know it yet")
		}
		s.open.enter(true)
		u.watch()
		s.work.Wait()
		back := 3 * knockEvery
		require.Equal(t, []time.Duration{back, back + 2*knockEvery, back + 6*knockEvery}, at)
	})
}
