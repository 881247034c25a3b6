package faulty_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/storage/storagetest"
	"github.com/talos-log/talos/talos"
)

var (
	errDisk = errors.New("the disk is on fire")
	id      = storage.ID{Folder: "topic", Name: "a"}
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWithoutFaultsItIsAStore(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Store { return faulty.New(mem.New(), nil) })
	require.Equal(t, mem.New().Traits(), faulty.New(mem.New(), nil).Traits())
}

// calls makes one call of each sort but append on an existing sealed segment,
// or, for create and seal, on a new one.
var calls = map[faulty.Op]func(context.Context, storage.Store) error{
	faulty.Create: func(ctx context.Context, s storage.Store) error {
		_, err := s.Create(ctx, storage.ID{Folder: "topic", Name: "new"}, []byte("head"), talos.Sync)
		return err
	},
	faulty.Seal: func(ctx context.Context, s storage.Store) error {
		a, err := s.Create(ctx, storage.ID{Folder: "topic", Name: "new"}, []byte("head"), talos.Sync)
		return errors.Join(err, a.Seal(ctx))
	},
	faulty.Recover: func(ctx context.Context, s storage.Store) error { _, err := s.Recover(ctx, id); return err },
	faulty.Open:    func(ctx context.Context, s storage.Store) error { _, err := s.Open(ctx, id); return err },
	faulty.List:    func(ctx context.Context, s storage.Store) error { _, err := s.List(ctx, "topic"); return err },
	faulty.Remove:  func(ctx context.Context, s storage.Store) error { return s.Remove(ctx, id) },
	faulty.Read: func(ctx context.Context, s storage.Store) error {
		r, err := s.Open(ctx, id)
		if err != nil {
			return err
		}
		n, err := r.ReadAt(ctx, make([]byte, 4), 0)
		if err != nil && n != 0 {
			return errors.New("a failed read returned bytes")
		}
		return err
	},
}

// observed is a store that notes which calls reach it.
type observed struct {
	storage.Store
	reached map[faulty.Op]bool
}

func observe(t *testing.T) *observed {
	t.Helper()
	o := &observed{reached: map[faulty.Op]bool{}}
	inner := mem.New()
	a, err := inner.Create(t.Context(), id, []byte("head"), talos.Sync)
	require.NoError(t, err)
	require.NoError(t, a.Seal(t.Context()))
	o.Store = faulty.New(inner, func(c faulty.Call) faulty.Fault {
		return faulty.Fault{Before: faulty.Do(func() { o.reached[c.Op] = true })}
	})
	return o
}

func TestEachSortOfCallCanFail(t *testing.T) {
	for op, call := range calls {
		t.Run(string(op)+" before, so that the inner store never sees it", func(t *testing.T) {
			inner := observe(t)
			s := faulty.New(inner, faulty.Rules(faulty.Rule{Op: op, Fault: faulty.Fault{Before: faulty.Fail(errDisk)}}))
			require.ErrorIs(t, call(t.Context(), s), errDisk)
			require.False(t, inner.reached[op])
		})
		t.Run(string(op)+" after, so that it happened", func(t *testing.T) {
			inner := observe(t)
			s := faulty.New(inner, faulty.Rules(faulty.Rule{Op: op, Fault: faulty.Fault{After: faulty.Fail(errDisk)}}))
			require.ErrorIs(t, call(t.Context(), s), errDisk)
			require.True(t, inner.reached[op])
		})
		t.Run(string(op)+" by hanging until its context ends", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := observe(t)
				s := faulty.New(inner, faulty.Rules(faulty.Rule{Op: op, Fault: faulty.Fault{Before: faulty.Hang(nil)}}))
				ctx, cancel := context.WithCancel(t.Context())
				answer := make(chan error, 1)
				go func() { answer <- call(ctx, s) }()
				synctest.Wait()
				require.Empty(t, answer)
				cancel()
				require.ErrorIs(t, <-answer, context.Canceled)
				require.False(t, inner.reached[op])
			})
		})
		t.Run(string(op)+" by hanging until it is released", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				s := faulty.New(observe(t), faulty.Rules(faulty.Rule{Op: op, Fault: faulty.Fault{After: faulty.Hang(release)}}))
				answer := make(chan error, 1)
				go func() { answer <- call(t.Context(), s) }()
				synctest.Wait()
				require.Empty(t, answer)
				close(release)
				require.NoError(t, <-answer)
			})
		})
	}
}

func TestAnAmbiguousCreateLeavesASegmentThatNobodyWrites(t *testing.T) {
	inner := mem.New()
	s := faulty.New(inner, faulty.Rules(faulty.Rule{Op: faulty.Create, Fault: faulty.Fault{After: faulty.Fail(errDisk)}}))
	_, err := s.Create(t.Context(), id, []byte("head"), talos.Sync)
	require.ErrorIs(t, err, errDisk)
	_, err = inner.Create(t.Context(), id, []byte("head"), talos.Sync)
	require.ErrorIs(t, err, storage.ErrExists)
}

func TestAFailureOfTheInnerStoreIsPassedOn(t *testing.T) {
	ran := false
	s := faulty.New(mem.New(), faulty.Rules(faulty.Rule{Op: faulty.Open, Fault: faulty.Fault{After: faulty.Do(func() { ran = true })}}))
	_, err := s.Open(t.Context(), id)
	require.ErrorIs(t, err, storage.ErrNotFound)
	require.False(t, ran, "the After step ran after a failure")
}

func TestAShortReadIsNoFailure(t *testing.T) {
	ran := false
	s := faulty.New(observe(t), faulty.Rules(faulty.Rule{Op: faulty.Read, Fault: faulty.Fault{After: faulty.Do(func() { ran = true })}}))
	r, err := s.Open(t.Context(), id)
	require.NoError(t, err)
	n, err := r.ReadAt(t.Context(), make([]byte, 10), 0)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 4, n)
	require.True(t, ran)
}

func TestRulesPickTheCallByItsNumberAndTheFirstThatFits(t *testing.T) {
	first, other := errors.New("first"), errors.New("other")
	hook := faulty.Rules(
		faulty.Rule{Op: faulty.List, N: 2, Fault: faulty.Fault{Before: faulty.Fail(first)}},
		faulty.Rule{Op: faulty.List, N: 2, Fault: faulty.Fault{Before: faulty.Fail(other)}},
		faulty.Rule{Op: faulty.Open, Fault: faulty.Fault{Before: faulty.Fail(other)}},
	)
	s := faulty.New(mem.New(), hook)
	var got []error
	for range 3 {
		_, err := s.List(t.Context(), "")
		got = append(got, err)
		_, err = s.Open(t.Context(), id)
		got = append(got, err)
	}
	require.Equal(t, []error{nil, other, first, other, nil, other}, got)
}

func TestTheHookSeesEveryCall(t *testing.T) {
	var seen []faulty.Call
	s := faulty.New(mem.New(), func(c faulty.Call) faulty.Fault {
		seen = append(seen, c)
		return faulty.Fault{}
	})
	for range 2 {
		require.NoError(t, s.Remove(t.Context(), id))
	}
	_, err := s.List(t.Context(), "topic")
	require.NoError(t, err)
	require.Equal(t, []faulty.Call{
		{Op: faulty.Remove, ID: id, N: 1},
		{Op: faulty.Remove, ID: id, N: 2},
		{Op: faulty.List, ID: storage.ID{Folder: "topic"}, N: 1},
	}, seen)
}

func TestParseRule(t *testing.T) {
	step := faulty.Fail(errDisk)
	r, err := faulty.ParseRule("before create 2", step)
	require.NoError(t, err)
	require.Equal(t, faulty.Create, r.Op)
	require.Equal(t, 2, r.N)
	require.ErrorIs(t, r.Fault.Before(t.Context()), errDisk)
	require.Nil(t, r.Fault.After)

	r, err = faulty.ParseRule("after append 17", step)
	require.NoError(t, err)
	require.Equal(t, faulty.Append, r.Op)
	require.Equal(t, 17, r.N)
	require.Nil(t, r.Fault.Before)
	require.ErrorIs(t, r.Fault.After(t.Context()), errDisk)

	for _, text := range []string{"", "create 2", "during create 2", "before nothing 2", "before create", "before create x", "before create 0", "before create 2 3"} {
		_, err := faulty.ParseRule(text, step)
		require.ErrorContains(t, err, "faulty: \""+text+"\"")
	}
}

func TestPurgeReachesTheStoreInside(t *testing.T) {
	inner := &purging{Store: mem.New()}
	require.NoError(t, storage.Purge(t.Context(), faulty.New(inner, nil), "topic"))
	require.Equal(t, []string{"topic"}, inner.purged)
	require.NoError(t, storage.Purge(t.Context(), faulty.New(mem.New(), nil), "topic"), "a store that keeps nothing")
}

type purging struct {
	storage.Store
	purged []string
}

func (p *purging) Purge(_ context.Context, folder string) error {
	p.purged = append(p.purged, folder)
	return nil
}
