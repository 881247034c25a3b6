package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/talos-log/talos/talos"
)

// maxPIDBytes is more than a process id takes.
const maxPIDBytes = 32

// folderLock is an open, locked file. It is a bare descriptor because an
// os.File closes itself, and so unlocks, when nobody refers to it any more:
// then a second etcd could start beside a first that still runs.
type folderLock int

// lockFolder takes the folder for this process until release, or until the
// process ends, however it ends.
func lockFolder(dir string) (folderLock, error) {
	const op = "embedded.Start"
	fd, err := unix.Open(filepath.Join(dir, "lock"), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return 0, &talos.Error{Kind: talos.StoreUnavailable, Op: op, Subject: dir, Detail: "the lock file can't be opened", Cause: err}
	}
	lock := folderLock(fd)
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = &talos.Error{Kind: talos.StoreInUse, Op: op, Subject: dir, Detail: "held by " + lock.holder()}
	case err != nil:
		err = &talos.Error{Kind: talos.StoreUnavailable, Op: op, Subject: dir, Detail: "the file system can't lock", Cause: err}
	default:
		if err = lock.writePID(); err != nil {
			err = &talos.Error{Kind: talos.StoreUnavailable, Op: op, Subject: dir, Detail: "the lock file can't be written", Cause: err}
		}
	}
	if err != nil {
		return 0, errors.Join(err, lock.release())
	}
	return lock, nil
}

// release unlocks the folder.
func (l folderLock) release() error {
	if err := unix.Close(int(l)); err != nil {
		return fmt.Errorf("closing the lock file: %w", err)
	}
	return nil
}

// holder says which process wrote the lock file, as far as that can be told.
func (l folderLock) holder() string {
	var text [maxPIDBytes]byte
	n, err := unix.Pread(int(l), text[:], 0)
	if err == nil {
		if pid := strings.TrimSpace(string(text[:n])); pid != "" {
			return "the process with pid " + pid
		}
	}
	return "an unknown process"
}

func (l folderLock) writePID() error {
	if err := unix.Ftruncate(int(l), 0); err != nil {
		return err
	}
	_, err := unix.Pwrite(int(l), fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}
