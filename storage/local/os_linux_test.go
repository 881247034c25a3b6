package local

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestHolderIn(t *testing.T) {
	const locks = `1: POSIX  ADVISORY  WRITE 11 08:02:100 0 EOF
2: FLOCK  ADVISORY  WRITE 12 08:02:100 0 EOF
2: -> FLOCK  ADVISORY  WRITE 13 08:02:100 0 EOF
3: FLOCK  ADVISORY  READ  14 fd:1f:200 0 EOF
4: FLOCK  ADVISORY  WRITE 0 08:02:300 0 EOF
5: -> FLOCK  ADVISORY  WRITE 15 08:02:400 0 EOF
torn line
`
	for _, c := range []struct {
		what         string
		major, minor uint32
		inode        uint64
		want         int
	}{
		{"the one that has it, not one that waits or has a POSIX lock", 8, 2, 100, 12},
		{"a device in hexadecimal", 0xfd, 0x1f, 200, 14},
		{"a process of another namespace", 8, 2, 300, 0},
		{"only one that waits", 8, 2, 400, 0},
		{"the same inode of another device", 8, 3, 100, 0},
		{"nobody", 8, 2, 10, 0},
	} {
		require.Equal(t, c.want, holderIn([]byte(locks), unix.Mkdev(c.major, c.minor), c.inode), c.what)
	}
	require.Zero(t, holderIn(nil, 0, 0))
}

func TestALockedFileWithoutAKnownHolder(t *testing.T) {
	require.EqualError(t, &LockedError{}, "the file is locked by an unknown process")
	require.EqualError(t, &LockedError{PID: 7}, "the file is locked by process 7")
}
