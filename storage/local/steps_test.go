package local_test

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/talos"
)

// createSteps is what Create does for topic/0/a, in an order that a crash
// anywhere survives.
var createSteps = []string{
	"create .creating/*",
	"lock .creating/*",
	"write 4 bytes at 0 to .creating/*",
	"datasync .creating/*",
	"mkdir topic",
	"sync .",
	"mkdir topic/0",
	"sync topic",
	"link topic/0/a",
	"sync topic/0",
	"remove .creating/*",
}

func TestTheStepsOfOpeningARoot(t *testing.T) {
	top := t.TempDir()
	h := &hookedFS{root: top}
	open(t, filepath.Join(top, "data", "talos"), local.Options{FS: h})
	require.Equal(t, []string{
		"mkdir data/talos",
		"mkdir data",
		"sync .",
		"mkdir data/talos",
		"sync data",
		"mkdir data/talos/.creating",
	}, h.logged())
}

func TestTheStepsOfCreate(t *testing.T) {
	s, h := openHooked(t, t.TempDir(), local.Options{})
	create(t, s, id)
	require.Equal(t, createSteps, h.logged())
	h.set(nil, nil)
	create(t, s, storage.ID{Folder: "topic/0", Name: "b"})
	require.Contains(t, h.logged(), "sync topic", "folders that exist are synced: who made them may not have come so far")
}

func TestTheStepsOfRecoverAndRemove(t *testing.T) {
	s, h := openHooked(t, t.TempDir(), local.Options{})
	require.NoError(t, create(t, s, id).Seal(t.Context()))
	h.set(nil, nil)
	_, err := s.Recover(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []string{
		"open topic/0/a", "lock shared topic/0/a", "datasync topic/0/a", "sync topic/0", "close topic/0/a",
	}, h.logged())
	for _, note := range []string{"there", "already gone"} {
		h.set(nil, nil)
		require.NoError(t, s.Remove(t.Context(), id))
		require.Equal(t, []string{"remove topic/0/a", "sync topic/0"}, h.logged(), note)
	}
}

func TestAGroupOfAppendsIsSyncedOnce(t *testing.T) {
	s, h := openHooked(t, t.TempDir(), local.Options{})
	a := create(t, s, id)
	entered, release := make(chan struct{}), make(chan struct{})
	h.set(func(op string) error {
		if op == "write 1 bytes at 4 to .creating/*" {
			close(entered)
			<-release
		}
		return nil
	}, nil)
	all := make(chan error, 4)
	done := func(err error) { all <- err }
	a.Append([]byte("1"), done)
	<-entered // the first group is taken
	for _, p := range []string{"22", "333", "4444"} {
		a.Append([]byte(p), done)
	}
	close(release)
	for range 4 {
		require.NoError(t, <-all)
	}
	require.Equal(t, []string{
		"write 1 bytes at 4 to .creating/*",
		"datasync .creating/*",
		"write 2 bytes at 5 to .creating/*",
		"write 3 bytes at 7 to .creating/*",
		"write 4 bytes at 10 to .creating/*",
		"datasync .creating/*",
	}, h.logged())
}

func TestACreateThatFailsAtAnyStepHoldsNothing(t *testing.T) {
	for _, step := range createSteps[:len(createSteps)-1] {
		t.Run(step, func(t *testing.T) {
			root := t.TempDir()
			s, h := openHooked(t, root, local.Options{LockWait: time.Nanosecond})
			h.set(func(op string) error {
				if op == step {
					return syscall.EIO
				}
				return nil
			}, nil)
			_, err := s.Create(t.Context(), id, []byte("head"), talos.Sync)
			require.ErrorIs(t, err, talos.StoreUnavailable)
			require.ErrorIs(t, err, syscall.EIO)
			if step != createSteps[0] {
				require.Contains(t, h.logged(), "close .creating/*")
			}
			h.set(nil, nil)
			if step == "sync topic/0" { // it has its name already
				info, err := s.Recover(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, int64(4), info.Size)
				return
			}
			_, err = s.Recover(t.Context(), id)
			require.ErrorIs(t, err, storage.ErrNotFound)
			_, err = s.Create(t.Context(), id, []byte("head"), talos.Sync)
			require.NoError(t, err, "nothing of the failed one is in the way")
		})
	}
}

func TestAFileThatCantBeUnlinkedDoesNotFailCreate(t *testing.T) {
	s, h := openHooked(t, t.TempDir(), local.Options{})
	h.set(func(op string) error {
		if op == "remove .creating/*" {
			return syscall.EIO
		}
		return nil
	}, nil)
	require.Equal(t, []error{nil}, appendAll(create(t, s, id), "x"))
}

func TestARecoverInTheMidstOfCreateOfTheSameStoreKillsTheAppender(t *testing.T) {
	for _, step := range []string{"link topic/0/a", "sync topic/0"} {
		t.Run("after "+step, func(t *testing.T) {
			s, h := openHooked(t, t.TempDir(), local.Options{LockWait: time.Nanosecond})
			var info storage.Info
			var err error
			h.set(nil, func(op string) {
				if op == step {
					h.set(nil, nil)
					info, err = s.Recover(t.Context(), id)
				}
			})
			a := create(t, s, id)
			require.NoError(t, err)
			require.Equal(t, int64(4), info.Size)
			require.Equal(t, []error{storage.ErrDead}, appendAll(a, "x"))
		})
	}
}

func TestASegmentIsLockedFromTheMomentItCanBeSeen(t *testing.T) {
	for i, step := range createSteps {
		t.Run("after "+step, func(t *testing.T) {
			root := t.TempDir()
			s, h := openHooked(t, root, local.Options{})
			other := open(t, root, local.Options{LockWait: time.Nanosecond})
			var err error
			h.set(nil, func(op string) {
				if op == step {
					_, err = other.Recover(t.Context(), id)
				}
			})
			a := create(t, s, id)
			if i < 8 { // it has no name yet
				require.ErrorIs(t, err, storage.ErrNotFound)
			} else {
				require.ErrorIs(t, err, talos.StoreInUse)
			}
			require.Equal(t, []error{nil}, appendAll(a, "x"))
		})
	}
}

func TestARootThatIsOpenedInTheMidstOfCreateMayFailItButNeverBreaksIt(t *testing.T) {
	for i, step := range createSteps {
		t.Run("after "+step, func(t *testing.T) {
			root := t.TempDir()
			s, h := openHooked(t, root, local.Options{})
			h.set(nil, func(op string) {
				if op == step {
					open(t, root, local.Options{})
				}
			})
			a, err := s.Create(t.Context(), id, []byte("head"), talos.Sync)
			if i == 0 { // not locked yet, so it looks like a crashed one's
				require.ErrorIs(t, err, talos.StoreUnavailable)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []error{nil}, appendAll(a, "x"))
			require.NoError(t, a.Seal(t.Context()))
		})
	}
}

func TestRecoverEndsWithItsContextWhileItWaitsForALock(t *testing.T) {
	root := t.TempDir()
	create(t, open(t, root, local.Options{}), id)
	s, h := openHooked(t, root, local.Options{LockWait: time.Hour})
	ctx := h.afterOp(t, "lock shared topic/0/a", 3)
	_, err := s.Recover(ctx, id)
	require.ErrorIs(t, err, ctx.Err())
	require.Contains(t, h.logged(), "close topic/0/a")
}

func TestRecoverWaitsForTheGroupThatIsBeingWritten(t *testing.T) {
	s, h := openHooked(t, t.TempDir(), local.Options{})
	a := create(t, s, id)
	entered, release := make(chan struct{}), make(chan struct{})
	h.set(func(op string) error {
		if op == "datasync .creating/*" {
			close(entered)
			<-release
		}
		return nil
	}, nil)
	outcome := make(chan error, 2)
	a.Append([]byte("written"), func(err error) { outcome <- err })
	<-entered
	a.Append([]byte("queued"), func(err error) { outcome <- err })
	ctx := h.afterOp(t, "open topic/0/a", 1)
	_, err := s.Recover(ctx, id)
	require.ErrorIs(t, err, ctx.Err(), "a Recover whose context ends does not wait, but has stopped the appender")
	h.set(nil, nil)
	size := make(chan int64, 1)
	go func() {
		defer close(size)
		if info, err := s.Recover(t.Context(), id); err == nil {
			size <- info.Size
		}
	}()
	close(release)
	require.NoError(t, <-outcome, "what was being written became durable")
	require.Equal(t, storage.ErrDead, <-outcome, "what was queued was never written")
	require.Equal(t, int64(len("headwritten")), <-size)
}
