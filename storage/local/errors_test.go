package local_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/talos"
)

// failOn fails every operation that begins with a prefix.
func failOn(prefix string, errno syscall.Errno) func(string) error {
	return func(op string) error {
		if strings.HasPrefix(op, prefix) {
			return errno
		}
		return nil
	}
}

func requireInUseBy(t *testing.T, err error, pid int) {
	t.Helper()
	require.ErrorIs(t, err, talos.StoreInUse)
	require.ErrorContains(t, err, "process "+strconv.Itoa(pid)+" has ")
}

func TestOpeningARootThatCantBeUsed(t *testing.T) {
	top := t.TempDir()
	file := filepath.Join(top, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, c := range []struct {
		what, root string
		fail       func(string) error
		cause      syscall.Errno
		text       string
	}{
		{
			"read-only, with nothing in it", filepath.Join(top, "root"), failOn("mkdir root", syscall.EROFS), syscall.EROFS,
			"local.Open TOP/root: the store can't be used: mkdir TOP/root: read-only file system",
		},
		{
			"read-only, and its folders are missing", top, failOn("mkdir .creating", syscall.EROFS), syscall.EROFS,
			"local.Open TOP: the store can't be used: mkdir TOP/.creating: read-only file system",
		},
		{
			"not ours", top, failOn("mkdir .creating", syscall.EACCES), syscall.EACCES,
			"local.Open TOP: the store can't be used: mkdir TOP/.creating: permission denied",
		},
		{
			"a file", file, nil, syscall.ENOTDIR,
			"local.Open TOP/file: the store can't be used: mkdir TOP/file/.creating: not a directory",
		},
		{
			"below a file", filepath.Join(file, "root"), nil, syscall.ENOTDIR,
			"local.Open TOP/file/root: the store can't be used: mkdir TOP/file/root: not a directory",
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := local.Open(c.root, local.Options{FS: &hookedFS{root: top, before: c.fail}})
			require.ErrorIs(t, err, talos.StoreUnavailable)
			require.ErrorIs(t, err, c.cause)
			require.EqualError(t, err, strings.ReplaceAll(c.text, "TOP", top))
		})
	}
}

func TestARootThatHasGoneIsNeverTakenForAnEmptyOne(t *testing.T) {
	for what, vanish := range map[string]func(root string) error{
		"removed": os.RemoveAll,
		// Below a mount point there is often an empty folder.
		"unmounted": func(root string) error {
			if err := os.RemoveAll(root); err != nil {
				return err
			}
			return os.Mkdir(root, 0o700)
		},
	} {
		t.Run(what, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "root")
			s := open(t, root, local.Options{})
			require.NoError(t, create(t, s, id).Seal(t.Context()))
			require.NoError(t, vanish(root))
			_, createErr := s.Create(t.Context(), storage.ID{Folder: "topic/0", Name: "b"}, []byte("head"), talos.Sync)
			_, recoverErr := s.Recover(t.Context(), id)
			_, openErr := s.Open(t.Context(), id)
			_, listErr := s.List(t.Context(), "topic/0")
			_, listRootErr := s.List(t.Context(), "")
			removeErr := s.Remove(t.Context(), id)
			for _, err := range []error{createErr, recoverErr, openErr, listErr, listRootErr, removeErr} {
				require.ErrorIs(t, err, talos.StoreUnavailable)
				require.ErrorIs(t, err, syscall.ENOENT)
				require.NotErrorIs(t, err, storage.ErrNotFound)
				require.ErrorContains(t, err, filepath.Join(root, ".creating"))
			}
			require.NoDirExists(t, filepath.Join(root, "topic"))
		})
	}
}

func TestAFailedAppendKillsTheAppenderAndSaysWhyOnce(t *testing.T) {
	for what, c := range map[string]struct {
		fail  string
		errno syscall.Errno
	}{
		"the disk is full":    {"write", syscall.ENOSPC},
		"the disk is broken":  {"datasync", syscall.EIO},
		"the quota is used":   {"write", syscall.EDQUOT},
		"the disk went away":  {"datasync", syscall.ENXIO},
		"it became read-only": {"write", syscall.EROFS},
	} {
		t.Run(what, func(t *testing.T) {
			root := t.TempDir()
			s, h := openHooked(t, root, local.Options{})
			a := create(t, s, id)
			require.Equal(t, []error{nil}, appendAll(a, "acknowledged"))
			h.set(failOn(c.fail, c.errno), nil)
			outcome := appendAll(a, "1", "2", "3")
			require.ErrorIs(t, outcome[0], c.errno)
			require.ErrorIs(t, outcome[0], talos.StoreUnavailable)
			require.ErrorContains(t, outcome[0], "local.Append topic/0/a: the store can't be used: ")
			h.set(nil, nil)
			require.Equal(t, []error{storage.ErrDead}, appendAll(a, "4"), "dead for good, although the disk works again")
			require.ErrorIs(t, a.Seal(t.Context()), storage.ErrDead)

			// The lock is free at once, also for others.
			info, err := open(t, root, local.Options{}).Recover(t.Context(), id)
			require.NoError(t, err)
			require.GreaterOrEqual(t, info.Size, int64(len("headacknowledged")))
		})
	}
}

func TestAllOfAFailedGroupFail(t *testing.T) {
	s, h := openHooked(t, t.TempDir(), local.Options{})
	a := create(t, s, id)
	entered, release := make(chan struct{}), make(chan struct{})
	h.set(func(op string) error {
		switch op {
		case "write 1 bytes at 4 to .creating/*":
			close(entered)
			<-release
		case "write 3 bytes at 7 to .creating/*": // the second of the second group
			return syscall.ENOSPC
		}
		return nil
	}, nil)
	all := make(chan error, 5)
	done := func(err error) { all <- err }
	a.Append([]byte("1"), done)
	<-entered
	for _, p := range []string{"22", "333", "4444"} {
		a.Append([]byte(p), done)
	}
	close(release)
	require.NoError(t, <-all)
	require.ErrorIs(t, <-all, syscall.ENOSPC)
	require.Equal(t, storage.ErrDead, <-all)
	require.Equal(t, storage.ErrDead, <-all)
}

func TestFailuresOfTheDiskInTheOtherCalls(t *testing.T) {
	s, h := openHooked(t, t.TempDir(), local.Options{})
	require.NoError(t, create(t, s, id).Seal(t.Context()))
	for _, c := range []struct {
		fail string
		call func() error
	}{
		{"open", func() error { _, err := s.Open(t.Context(), id); return err }},
		{"open", func() error { _, err := s.Recover(t.Context(), id); return err }},
		{"lock", func() error { _, err := s.Recover(t.Context(), id); return err }},
		{"datasync", func() error { _, err := s.Recover(t.Context(), id); return err }},
		{"sync", func() error { _, err := s.Recover(t.Context(), id); return err }},
		{"remove", func() error { return s.Remove(t.Context(), id) }},
		{"sync", func() error { return s.Remove(t.Context(), id) }},
	} {
		h.set(failOn(c.fail, syscall.EIO), nil)
		err := c.call()
		require.ErrorIs(t, err, syscall.EIO, c.fail)
		require.ErrorIs(t, err, talos.StoreUnavailable, c.fail)
		require.NotErrorIs(t, err, storage.ErrNotFound, c.fail)
	}
}

func TestANameThatIsTooLongForTheFileSystemIsInvalid(t *testing.T) {
	s := open(t, t.TempDir(), local.Options{})
	_, err := s.Create(t.Context(), storage.ID{Name: strings.Repeat("n", 256)}, []byte("head"), talos.Sync)
	require.ErrorIs(t, err, storage.ErrInvalid)
}
