package hadoop_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/test/hadoop"
)

func TestMain(m *testing.M) { os.Exit(hadoop.Main(m)) }

const (
	noticed  = 30 * time.Second
	interval = 100 * time.Millisecond
)

// running is the cluster, which is whole again after the test.
func running(t *testing.T) *hadoop.Cluster {
	t.Helper()
	c := hadoop.ForTest(t)
	t.Cleanup(func() { c.Restore(t) })
	return c
}

// client does what one asks of a file system, over HTTP.
type client struct {
	t *testing.T
	c *hadoop.Cluster
	http.Client
}

func newClient(t *testing.T, c *hadoop.Cluster) *client {
	t.Helper()
	return &client{t: t, c: c, Client: http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: noticed}}
}

// do returns what the file system answers.
func (w *client) do(method, file, operation, body string) (status int, answer string) {
	w.t.Helper()
	self, err := user.Current()
	require.NoError(w.t, err)
	query := url.Values{"op": {operation}, "user.name": {self.Username}}
	u := "http://" + w.c.Pages() + "/webhdfs/v1" + file + "?" + query.Encode()
	request, err := http.NewRequestWithContext(w.t.Context(), method, u, strings.NewReader(body))
	require.NoError(w.t, err)
	response, err := w.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { require.NoError(w.t, response.Body.Close()) }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

func (w *client) write(file, content string) {
	w.t.Helper()
	status, answer := w.do(http.MethodPut, file, "CREATE", content)
	require.Equal(w.t, http.StatusCreated, status, answer)
}

// read tries again: a DataNode's own connection may lead to a NameNode that was
// killed, which it notices when it asks.
func (w *client) read(file string) (content string) {
	w.t.Helper()
	require.EventuallyWithT(w.t, func(collect *assert.CollectT) {
		status, answer := w.do(http.MethodGet, file, "OPEN", "")
		assert.Equal(collect, http.StatusOK, status, answer)
		content = answer
	}, noticed, interval)
	return content
}

func TestAFileHasThreeReplicas(t *testing.T) {
	c := running(t)
	require.True(t, strings.HasPrefix(c.URL(), "hdfs://127.0.0.1:"), c.URL())
	require.Len(t, c.DataNodes(), 3)
	w := newClient(t, c)
	w.write("/replicas", "one block")
	require.Equal(t, "one block", w.read("/replicas"))

	blocks := c.Blocks(t, "/replicas")
	require.Len(t, blocks, 1)
	require.EqualValues(t, len("one block"), blocks[0].Size)
	require.ElementsMatch(t, c.DataNodes(), blocks[0].DataNodes)
	identities := map[string]bool{}
	for _, d := range c.DataNodes() {
		identities[d.UUID(t)] = true
		content, err := os.ReadFile(c.BlockFile(t, d, blocks[0].ID))
		require.NoError(t, err)
		require.Equal(t, "one block", string(content))
		require.FileExists(t, c.MetaFile(t, d, blocks[0].ID))
	}
	require.Len(t, identities, 3)
}

func TestAKilledDataNodeComesBackWithItsData(t *testing.T) {
	c := running(t)
	w := newClient(t, c)
	w.write("/killed", "still here")
	d := c.DataNodes()[1]
	address, identity := d.Address(), d.UUID(t)
	d.Kill(t)
	require.False(t, d.Running())
	require.Eventually(t, func() bool { return !c.Hears(t, d) }, noticed, interval)

	d.Start(t)
	c.Restore(t)
	require.True(t, c.Hears(t, d))
	require.Equal(t, []string{address, identity}, []string{d.Address(), d.UUID(t)})
	require.Len(t, c.Blocks(t, "/killed")[0].DataNodes, 3)
	require.Equal(t, "still here", w.read("/killed"))
}

func TestAStoppedDataNodeGoesOn(t *testing.T) {
	c := running(t)
	d := c.DataNodes()[2]
	d.Stop(t)
	require.True(t, d.Running())
	require.Eventually(t, func() bool { return !c.Hears(t, d) }, noticed, interval)
	d.Continue(t)
	require.Eventually(t, func() bool { return c.Hears(t, d) }, noticed, interval)
}

func TestRestoreStartsEverythingAgain(t *testing.T) {
	c := running(t)
	w := newClient(t, c)
	w.write("/all", "of them")
	c.NameNode().Kill(t)
	c.DataNodes()[0].Stop(t)
	c.DataNodes()[1].Kill(t)
	c.DataNodes()[2].Kill(t)

	c.Restore(t)
	require.Equal(t, "of them", w.read("/all"))
	require.Len(t, c.Blocks(t, "/all")[0].DataNodes, 3)
}

func TestSafeModeRefusesChanges(t *testing.T) {
	c := running(t)
	w := newClient(t, c)
	c.SafeMode(t, true)
	status, answer := w.do(http.MethodPut, "/refused", "MKDIRS", "")
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, answer, "SafeModeException")
	c.SafeMode(t, false)
	status, answer = w.do(http.MethodPut, "/accepted", "MKDIRS", "")
	require.Equal(t, http.StatusOK, status, answer)
}

func TestAClusterOfOneKeepsItsDataAndItsPort(t *testing.T) {
	cfg := hadoop.Config{Folder: t.TempDir(), DataNodes: 1, Quick: true}
	c, err := hadoop.Start(t.Context(), cfg)
	require.NoError(t, err)
	newClient(t, c).write("/kept", "as it was")
	require.NoError(t, c.Stop())
	_, err = fmt.Sscanf(c.URL(), "hdfs://127.0.0.1:%d", &cfg.Port)
	require.NoError(t, err)

	again, err := hadoop.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, again.Kill()) })
	require.Equal(t, c.URL(), again.URL())
	require.Equal(t, "as it was", newClient(t, again).read("/kept"))
}

func TestAClusterThatCanNotStartSaysWhy(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	taken := listener.Addr().(*net.TCPAddr).Port
	_, err = hadoop.Start(t.Context(), hadoop.Config{Folder: t.TempDir(), Port: taken, Quick: true})
	require.ErrorContains(t, err, fmt.Sprintf("the NameNode can't use port %d", taken))

	damaged := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(damaged, "name", "current"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "name", "current", "VERSION"), nil, 0o600))
	_, err = hadoop.Start(t.Context(), hadoop.Config{Folder: damaged, Quick: true})
	require.ErrorContains(t, err, "namenode has ended")
	require.ErrorContains(t, err, "VERSION has layoutVersion missing", "the log's own words")

	_, err = hadoop.Start(t.Context(), hadoop.Config{Folder: t.TempDir(), DataNodes: 17})
	require.ErrorContains(t, err, "from 1 to 16")
}

func TestTheVersionIsTheOneThatIsPinned(t *testing.T) {
	pom, err := os.ReadFile("../../tools/hadoop/pom.xml")
	require.NoError(t, err)
	require.Contains(t, string(pom), "<hadoop.version>"+hadoop.Version+"</hadoop.version>")
}
