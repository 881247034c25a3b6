package etcd_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/test/etcd"
	"github.com/talos-log/talos/test/process"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long things may take that must happen.
const patience = time.Minute

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func client(t *testing.T, c *etcd.Cluster) *clientv3.Client {
	t.Helper()
	found, err := c.Client()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, found.Close()) })
	return found
}

// The server is the one that the module's client and its embedded server are
// tested with.
func TestTheServerHasTheVersionOfTheModule(t *testing.T) {
	pinned := regexp.MustCompile(`go\.etcd\.io/etcd/server/v3 v(\S+)`)
	var versions []string
	for _, file := range []string{"../../go.mod", "../../tools/etcd/go.mod"} {
		text, err := os.ReadFile(filepath.FromSlash(file))
		require.NoError(t, err)
		found := pinned.FindSubmatch(text)
		require.NotNil(t, found, file)
		versions = append(versions, string(found[1]))
	}
	require.Equal(t, versions[0], versions[1])
	binary, err := process.Tool("etcd")
	require.NoError(t, err)
	said, err := exec.Command(binary, "--version").Output()
	require.NoError(t, err)
	require.Contains(t, string(said), "etcd Version: "+versions[0]+"\n")
}

func TestAMemberKeepsItsDataOverAKill(t *testing.T) {
	c := etcd.ForTest(t, 1)
	_, err := client(t, c).Put(within(t), "a", "1")
	require.NoError(t, err)
	only := c.Members()[0]
	require.NoError(t, only.Kill())
	require.False(t, only.Running())
	require.NoError(t, only.Start(within(t)))
	found, err := client(t, c).Get(within(t), "a")
	require.NoError(t, err)
	require.Len(t, found.Kvs, 1)
}

func TestThreeMembersOutliveTheirLeader(t *testing.T) {
	c := etcd.ForTest(t, 3)
	require.Len(t, c.Endpoints(), 3)
	first, err := c.Leader(within(t))
	require.NoError(t, err)
	require.NoError(t, first.Kill())
	second, err := c.Leader(within(t))
	require.NoError(t, err)
	require.NotEqual(t, first.Address(), second.Address())
	_, err = client(t, c).Put(within(t), "a", "1")
	require.NoError(t, err)
	require.NoError(t, first.Start(within(t)))
}

func TestAStoppedMemberGoesOn(t *testing.T) {
	c := etcd.ForTest(t, 1)
	only := c.Members()[0]
	require.NoError(t, only.Stop())
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := c.Leader(short)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, only.Continue())
	_, err = c.Leader(within(t))
	require.NoError(t, err)
}

func TestCompactionForgets(t *testing.T) {
	c := etcd.ForTest(t, 1)
	at := client(t, c)
	before, err := at.Put(within(t), "a", "1")
	require.NoError(t, err)
	_, err = at.Put(within(t), "a", "2")
	require.NoError(t, err)
	revision, err := c.Compact(within(t))
	require.NoError(t, err)
	require.Greater(t, revision, before.Header.Revision)
	_, err = at.Get(within(t), "a", clientv3.WithRev(before.Header.Revision))
	require.ErrorIs(t, err, rpctypes.ErrCompacted)
}
