package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// failure makes an error of the file system the store's: one of the errors of
// package storage where the file system's means the same, else StoreUnavailable
// with the file system's as its cause.
func failure(op, subject string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s %s: %w", op, subject, storage.ErrExists)
	case errors.Is(err, syscall.ENAMETOOLONG):
		return fmt.Errorf("%s %s: %w: longer than the file system allows", op, subject, storage.ErrInvalid)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s %s: %w", op, subject, err)
	}
	if known := (*talos.Error)(nil); errors.As(err, &known) {
		return err
	}
	return &talos.Error{Kind: talos.StoreUnavailable, Op: op, Subject: subject, Cause: err}
}

// lookupFailure is failure where a missing file means that there is no segment.
func (s *Store) lookupFailure(op, subject string, err error) error {
	if !missing(err) {
		return failure(op, subject, err)
	}
	if err := s.rootPresent(); err != nil {
		return failure(op, subject, err)
	}
	return fmt.Errorf("%s %s: %w", op, subject, storage.ErrNotFound)
}

// rootPresent fails if the root is gone, as when its disk was unmounted: then
// nothing may be taken for absent. The root is known by the folder that Open
// made in it.
func (s *Store) rootPresent() error {
	_, err := s.fs.ReadDir(s.creating())
	return err
}

// missing tells whether a path leads to nothing, also because what should be a
// folder on the way is a file.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
