package hdfs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/namenode"
	"github.com/talos-log/talos/hdfs/internal/wire"
	"github.com/talos-log/talos/storage"
)

const (
	// closeFirst and closeMost are the pauses between two questions whether a
	// lease recovery has closed the file. It takes a DataNode's heartbeat at least.
	closeFirst = 20 * time.Millisecond
	closeMost  = 500 * time.Millisecond
	// recoverAgain is when the NameNode is asked to recover again: one that was
	// restarted has forgotten, and one that gave the recovery to a DataNode which
	// died waits to be asked. One that shows that it is another one is asked at
	// once. A recovery that runs is not disturbed by that.
	recoverAgain = 5 * time.Second
	// sayWaiting is how often a recovery that takes long says what it waits for.
	sayWaiting = 5 * time.Second
	// othersTurn is how long another one that recovers the same file is left to
	// end it.
	othersTurn = 2 * time.Second
)

// Recover ends a segment that somebody else wrote: no appender of it can have
// every DataNode's acknowledgement afterwards, since the recovery stopped at
// least one of them. It waits for as long as ctx allows.
func (s *Store) Recover(ctx context.Context, id storage.ID) (storage.Info, error) {
	if err := check(ctx, id.Validate()); err != nil {
		return storage.Info{}, err
	}
	path := s.path(id)
	size, err := s.join(ctx, path)
	if err != nil {
		return storage.Info{}, s.explain("recover", path, err)
	}
	return storage.Info{Name: id.Name, Size: size, Sealed: true}, nil
}

// join recovers a file, together with others in this process who want the same.
// It runs under the context of the first; if that one ends early, the others
// begin again.
func (s *Store) join(ctx context.Context, path string) (int64, error) {
	for {
		result := s.recovering.DoChan(path, func() (any, error) {
			size, err := s.recover(ctx, path)
			if err != nil && ctx.Err() != nil {
				err = fmt.Errorf("%w: %w", err, ctx.Err()) // its cause may be anything
			}
			return size, err
		})
		select {
		case r := <-result:
			if r.Err != nil && r.Shared && ctx.Err() == nil && isContextError(r.Err) {
				continue
			}
			size, _ := r.Val.(int64)
			return size, r.Err
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// recover goes round until the file is closed and bears no mark.
func (s *Store) recover(ctx context.Context, path string) (int64, error) {
	r := recovery{store: s, file: file{path: path, holder: fmt.Sprintf("%s-recovers-%08x", s.client, rand.Uint32())}, begun: time.Now()}
	if left, ok := s.leftovers.take(path); ok {
		r.left = &left
	}
	for {
		status, closed, err := r.look(ctx)
		if err != nil {
			return 0, err
		}
		if closed && !marked(status) {
			if r.acted {
				s.metrics.recoveries.Inc()
				s.log.Info("segment recovered", "segment", path, "bytes", status.GetLength(), "took", time.Since(r.begun))
			}
			return int64(status.GetLength()), nil
		}
		r.acted = true
		if !closed {
			err = r.close(ctx)
		}
		if err == nil {
			err = r.sync(ctx)
		}
		if err == nil {
			err = s.unmark(ctx, path)
		}
		if err := r.yield(ctx, err); err != nil {
			return 0, err
		}
	}
}

// recovery is one attempt to end a file.
type recovery struct {
	store *Store
	file  file
	begun time.Time
	// acted is set once something was changed.
	acted bool
	// laggards are DataNodes that took a sync and did not end it; waited is set once
	// a round was given to DataNodes that were late to connect.
	laggards []*wire.DatanodeInfo
	waited   bool
	// left is what there is of the file if this store has given it up.
	left *leftover
	// forsaken is set once it was said that no DataNode answers.
	forsaken bool
}

// look asks first whether the file is closed, and then for the mark: in the
// other order, another recovery could close it in between, unseen.
func (r *recovery) look(ctx context.Context) (*wire.FileStatus, bool, error) {
	closed, err := r.store.names.IsFileClosed(ctx, r.file.path)
	if err != nil {
		return nil, false, err
	}
	status, err := r.store.names.GetFileInfo(ctx, r.file.path)
	if err != nil {
		return nil, false, err
	}
	if status.GetFileType() != wire.FileType_IS_FILE {
		return nil, false, namenode.ErrNotFound
	}
	return status, closed, nil
}

// unmark says that all bytes of a closed file are synced.
func (s *Store) unmark(ctx context.Context, path string) error {
	return s.names.SetPermission(ctx, &wire.SetPermissionRequest{
		Src: &path, Permission: &wire.Permission{Perm: proto.Uint32(modeOfFiles)},
	})
}

// close has the file closed: on the survivors of our own writer, or else by a lease
// recovery.
func (r *recovery) close(ctx context.Context) error {
	if r.left == nil {
		return r.closeByLease(ctx)
	}
	left := *r.left
	r.left = nil
	if err := r.store.closeLeftover(ctx, left); err != nil {
		r.store.log.Info("a segment given up was not closed on the DataNodes that survive, its lease is recovered instead",
			"segment", r.file.path, "error", err)
		return r.closeByLease(ctx)
	}
	return nil
}

// closeByLease takes the lease and waits until the file is closed.
func (r *recovery) closeByLease(ctx context.Context) error {
	asked, said := time.Time{}, time.Now()
	turns := r.store.names.Turns()
	for pause := closeFirst; ; pause = min(2*pause, closeMost) {
		if now := r.store.names.Turns(); now != turns {
			turns, asked, pause = now, time.Time{}, closeFirst
		}
		if time.Since(asked) > recoverAgain && r.outlives(ctx, asked.IsZero()) {
			asked = time.Now()
			r.store.step(LeaseWanted)
			closed, err := r.store.names.RecoverLease(ctx, r.file.path, r.file.holder)
			if err != nil || closed {
				return err
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return r.notClosed(asked, context.Cause(ctx))
		}
		closed, err := r.store.names.IsFileClosed(ctx, r.file.path)
		if err != nil || closed {
			return err
		}
		if time.Since(said) > sayWaiting {
			said = time.Now()
			r.store.log.Info("waiting for HDFS to close a segment: one of its DataNodes may be dead or stopped",
				"segment", r.file.path, "since", time.Since(r.begun).Round(time.Second), "datanodes", r.nodes(ctx))
		}
	}
}

// notClosed is the error of a recovery whose time is over.
func (r *recovery) notClosed(asked time.Time, cause error) error {
	took := time.Since(r.begun).Round(time.Second)
	if asked.IsZero() {
		return fmt.Errorf("none of its DataNodes has answered within %v, start them: %w", took, cause)
	}
	return fmt.Errorf("its DataNodes have not closed it within %v, one may be dead or stopped: %w", took, cause)
}

// nodes are the DataNodes of the file's block, for the log.
func (r *recovery) nodes(ctx context.Context) []string {
	blocks, err := r.store.names.GetBlockLocations(ctx, r.file.path)
	if err != nil {
		return nil
	}
	var all []string
	for _, node := range blocks.GetLastBlock().GetLocations() {
		all = append(all, address(node))
	}
	return all
}

// yield decides whether a failed round is tried again: where somebody else works
// on the same file, that one gets time to end it.
func (r *recovery) yield(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil || !overtaken(err) {
		return err
	}
	r.store.log.Debug("another recovery is at work", "segment", r.file.path, "error", err)
	deadline := time.Now().Add(othersTurn + rand.N(othersTurn))
	for time.Now().Before(deadline) {
		status, closed, err := r.look(ctx)
		if err != nil || closed && !marked(status) {
			return err
		}
		select {
		case <-time.After(closeMost / 2):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// overtaken tells whether an error shows that somebody else recovers the file.
func overtaken(err error) bool {
	return errors.Is(err, namenode.ErrBeingCreated) || errors.Is(err, namenode.ErrLease) || errors.Is(err, errSyncBroken)
}
