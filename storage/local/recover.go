package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// How long Recover waits before it asks for a lock again: from the first to the
// last, doubling.
const (
	firstLockPoll = time.Millisecond
	lastLockPoll  = 100 * time.Millisecond
)

// Recover implements storage.Store. If another process keeps the segment locked
// for longer than Options.LockWait, it fails with talos.StoreInUse and names it.
func (s *Store) Recover(ctx context.Context, id storage.ID) (storage.Info, error) {
	const op = "local.Recover"
	if err := check(ctx, op, id); err != nil {
		return storage.Info{}, err
	}
	// The file is opened first: if it is there, its appender is registered.
	file, err := s.fs.OpenFile(s.path(id), os.O_RDONLY)
	if err != nil {
		return storage.Info{}, s.lookupFailure(op, id.String(), err)
	}
	size, err := s.recover(ctx, id, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return storage.Info{}, failure(op, id.String(), err)
	}
	return storage.Info{Name: id.Name, Size: size, Sealed: true}, nil
}

func (s *Store) recover(ctx context.Context, id storage.ID, file File) (size int64, err error) {
	if err := s.stopLive(ctx, id); err != nil {
		return 0, err
	}
	if err := s.awaitLock(ctx, id, file); err != nil {
		return 0, err
	}
	if err := file.Datasync(); err != nil {
		return 0, err
	}
	if err := s.fs.SyncDir(s.folderPath(id.Folder)); err != nil {
		return 0, err
	}
	return file.Size()
}

// awaitLock waits until no appender has the file locked. The lock it takes is
// shared, so that several recoveries do not stand in each other's way.
func (s *Store) awaitLock(ctx context.Context, id storage.ID, file File) error {
	deadline := time.Now().Add(s.lockWait)
	for pause := firstLockPoll; ; pause = min(2*pause, lastLockPoll) {
		err := file.TryLock(false)
		locked := (*LockedError)(nil)
		if !errors.As(err, &locked) {
			return err
		}
		if time.Now().After(deadline) {
			return &talos.Error{
				Kind: talos.StoreInUse, Op: "local.Recover", Subject: id.String(), Cause: err,
				Detail: fmt.Sprintf("%s has %s open and did not let go of it within %v",
					locked.holder(), s.path(id), s.lockWait),
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
