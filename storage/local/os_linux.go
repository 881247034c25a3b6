package local

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Datasync implements File; fdatasync also writes a length that has changed.
func (f osFile) Datasync() error { return f.control("fdatasync", unix.Fdatasync) }

// lockHolder returns the process that has the file's flock, 0 if unknown.
func (f osFile) lockHolder() int {
	var st unix.Stat_t
	if err := f.control("fstat", func(fd int) error { return unix.Fstat(fd, &st) }); err != nil {
		return 0
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0
	}
	return holderIn(locks, st.Dev, st.Ino)
}

// holderIn finds the holder of a file's flock in the text of /proc/locks:
//
//	1: FLOCK  ADVISORY  WRITE 1234 08:02:131073 0 EOF
//	1: -> FLOCK  ADVISORY  WRITE 1235 08:02:131073 0 EOF    (one that waits)
//
// Processes of another PID namespace are shown as 0.
func holderIn(locks []byte, device, inode uint64) int {
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(device), unix.Minor(device), inode)
	for lines := bufio.NewScanner(bytes.NewReader(locks)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] != "FLOCK" || fields[5] != file {
			continue
		}
		if pid, err := strconv.Atoi(fields[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
