package bench

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync is what the local store acknowledges after.
func datasync(file *os.File) error {
	return os.NewSyscallError("fdatasync", unix.Fdatasync(int(file.Fd())))
}
