package local_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/storage/storagetest"
	"github.com/talos-log/talos/talos"
)

var id = storage.ID{Folder: "topic/0", Name: "a"}

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, t.TempDir(), local.Options{}) })
}

// open opens a store.
func open(t *testing.T, root string, opts local.Options) *local.Store {
	t.Helper()
	s, err := local.Open(root, opts)
	require.NoError(t, err)
	return s
}

// create makes a segment whose appender is given up when the test ends.
func create(t *testing.T, s storage.Store, id storage.ID) storage.Appender {
	t.Helper()
	a, err := s.Create(t.Context(), id, []byte("head"), talos.Sync)
	require.NoError(t, err)
	t.Cleanup(a.Abandon)
	return a
}

// appendAll starts appends and returns their outcomes when all have completed.
func appendAll(a storage.Appender, all ...string) []error {
	outcome, completed := make([]error, 0, len(all)), make(chan struct{})
	for i, p := range all {
		a.Append([]byte(p), func(err error) {
			outcome = append(outcome, err)
			if i == len(all)-1 {
				close(completed)
			}
		})
	}
	<-completed
	return outcome
}

func TestTraits(t *testing.T) {
	s := open(t, t.TempDir(), local.Options{})
	require.Equal(t, storage.Traits{IdleClose: 5 * time.Minute, OrderedTail: false}, s.Traits())
}

func TestWhatIsMadeIsForTheOwnerAlone(t *testing.T) {
	root := filepath.Join(t.TempDir(), "deep", "root")
	s := open(t, root, local.Options{})
	create(t, s, id)
	for path, want := range map[string]os.FileMode{
		filepath.Dir(root):                     os.ModeDir | 0o700,
		root:                                   os.ModeDir | 0o700,
		filepath.Join(root, ".creating"):       os.ModeDir | 0o700,
		filepath.Join(root, "topic"):           os.ModeDir | 0o700,
		filepath.Join(root, "topic", "0"):      os.ModeDir | 0o700,
		filepath.Join(root, "topic", "0", "a"): 0o600,
	} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, want, info.Mode(), path)
	}
}

func TestARootThatExistsIsTakenAsItIs(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Chmod(root, 0o750))
	create(t, open(t, root, local.Options{}), id)
	listing, err := open(t, root, local.Options{}).List(t.Context(), "topic/0")
	require.NoError(t, err)
	require.Len(t, listing.Segments, 1)
	info, err := os.Stat(root)
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|os.FileMode(0o750), info.Mode())
}

func TestWhatIsNotASegmentIsNotListed(t *testing.T) {
	root := t.TempDir()
	s := open(t, root, local.Options{})
	create(t, s, storage.ID{Name: "a"})
	for _, name := range []string{".lock", "a b", "ä", "backup~"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(root, "lost+found"), 0o700))
	require.NoError(t, os.Symlink("a", filepath.Join(root, "link")))
	listing, err := s.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, storage.Listing{Segments: []storage.Info{{Name: "a", Size: 4}}}, listing)
}

func TestOpeningARootRemovesWhatCrashesLeft(t *testing.T) {
	root := t.TempDir()
	s := open(t, root, local.Options{})
	a := create(t, s, id)
	creating := filepath.Join(root, ".creating")
	// Killed before the file had its name, killed after that, and still creating.
	unnamed, second, busy := filepath.Join(creating, "X"), filepath.Join(creating, "Y"), filepath.Join(creating, "Z")
	require.NoError(t, os.WriteFile(unnamed, []byte("he"), 0o600))
	require.NoError(t, a.Seal(t.Context()))
	require.NoError(t, os.Link(filepath.Join(root, "topic", "0", "a"), second))
	f, err := local.OS{}.OpenFile(busy, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	require.NoError(t, err)
	require.NoError(t, f.TryLock(true))

	s = open(t, root, local.Options{})
	require.NoFileExists(t, unnamed)
	require.NoFileExists(t, second)
	require.FileExists(t, busy)
	listing, err := s.List(t.Context(), "topic/0")
	require.NoError(t, err)
	require.Equal(t, []storage.Info{{Name: "a", Size: 4}}, listing.Segments)

	require.NoError(t, f.Close())
	open(t, root, local.Options{})
	require.NoFileExists(t, busy)
}

func TestIdleSegmentsCostNoGoroutine(t *testing.T) {
	s := open(t, t.TempDir(), local.Options{})
	require.Equal(t, []error{nil}, appendAll(create(t, s, id), "x"))
	goleak.VerifyNone(t) // the appender is still open
}

func TestRemoveStopsTheAppender(t *testing.T) {
	s := open(t, t.TempDir(), local.Options{})
	a := create(t, s, id)
	require.NoError(t, s.Remove(t.Context(), id))
	require.Equal(t, []error{storage.ErrDead}, appendAll(a, "x"))
}

func TestAnotherStoreOfTheProcessCanRecoverOnceTheAppenderHasEnded(t *testing.T) {
	root := t.TempDir()
	a := create(t, open(t, root, local.Options{}), id)
	other := open(t, root, local.Options{LockWait: time.Millisecond})
	_, err := other.Recover(t.Context(), id)
	requireInUseBy(t, err, os.Getpid())
	require.Equal(t, []error{nil}, appendAll(a, "x"), "a Recover that failed has stopped the appender")
	for _, end := range []func(){
		func() { require.NoError(t, a.Seal(t.Context())) },
		func() {}, // the lock that the first Recover took is free again
	} {
		end()
		info, err := other.Recover(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, storage.Info{Name: "a", Size: 5, Sealed: true}, info)
	}
}
