package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/talos-log/talos/talos"
)

// maxPIDBytes is more than a process id takes.
const maxPIDBytes = 32

// lockFolder takes the folder for this process until the file is closed or the
// process ends, however it ends.
func lockFolder(dir string) (*os.File, error) {
	const op = "embedded.Start"
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &talos.Error{Kind: talos.StoreUnavailable, Op: op, Subject: dir, Cause: err}
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = &talos.Error{Kind: talos.StoreInUse, Op: op, Subject: dir, Detail: "held by " + holder(file)}
	case err != nil:
		err = &talos.Error{Kind: talos.StoreUnavailable, Op: op, Subject: dir, Detail: "the file system can't lock", Cause: err}
	default:
		err = writePID(file)
	}
	if err != nil {
		file.Close() //nolint:errcheck // nothing was written that matters
		return nil, err
	}
	return file, nil
}

// holder says which process wrote the lock file, as far as that can be told.
func holder(file *os.File) string {
	text, err := io.ReadAll(io.LimitReader(file, maxPIDBytes))
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return "the process with pid " + pid
	}
	return "an unknown process"
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("embedded.Start: %w", err)
	}
	if _, err := file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		return fmt.Errorf("embedded.Start: %w", err)
	}
	return nil
}
