package hadoop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// askTimeout bounds one question to a daemon's pages.
	askTimeout = 5 * time.Second
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 16 << 20
)

// pages asks without connections that stay.
var pages = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: askTimeout}

// page gets a page of a daemon.
func (d *Daemon) page(ctx context.Context, path string, query url.Values) (text []byte, err error) {
	u := url.URL{Scheme: "http", Host: d.pages, Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := pages.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s says %s", d, response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, maxAnswer))
}

// bean gets a managed bean of a daemon.
func (d *Daemon) bean(ctx context.Context, name string, into any) error {
	text, err := d.page(ctx, "/jmx", url.Values{"qry": {name}})
	if err != nil {
		return err
	}
	var answer struct {
		Beans []json.RawMessage `json:"beans"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("%s: %w", d, err)
	}
	if len(answer.Beans) != 1 {
		return fmt.Errorf("%s has no %s yet", d, name)
	}
	return json.Unmarshal(answer.Beans[0], into)
}

// text is JSON in a string, as Hadoop likes it.
type text[T any] struct{ value T }

// UnmarshalJSON unpacks both layers.
func (t *text[T]) UnmarshalJSON(b []byte) error {
	var inner string
	if err := json.Unmarshal(b, &inner); err != nil {
		return err
	}
	return json.Unmarshal([]byte(inner), &t.value)
}

// known is what the NameNode knows of a DataNode.
type known struct {
	Address string `json:"xferaddr"`
	// LastContact is how many seconds ago it sent a heartbeat.
	LastContact int64 `json:"lastContact"`
	// Capacity is zero until the first heartbeat, which names its storages.
	Capacity int64 `json:"capacity"`
}

// nameNodeInfo is the bean in which the NameNode tells about its DataNodes.
type nameNodeInfo struct {
	// Safemode is empty when it is off.
	Safemode  string
	LiveNodes text[map[string]known]
}

// nameSystem is the bean in which it tells about blocks.
type nameSystem struct {
	// NumStaleStorages counts those whose blocks it has not been told yet.
	NumStaleStorages int
}

// dataNodeInfo is the bean in which a DataNode tells about its NameNode.
type dataNodeInfo struct {
	BPServiceActorInfo text[[]struct {
		ActorState string
		// LastHeartbeatResponseTime is how many seconds ago it was.
		LastHeartbeatResponseTime int64 `json:",string"`
	}]
}

// fromDataNodes are the NameNode's methods that DataNodes call.
var fromDataNodes = []string{"SendHeartbeat", "BlockReport", "BlockReceivedAndDeleted", "RegisterDatanode", "VersionRequest", "CommitBlockSynchronization"}

// Calls returns how often clients have called each method of the NameNode since it
// was started. It counts a few seconds late.
func (c *Cluster) Calls(t testing.TB) map[string]int64 {
	t.Helper()
	_, port, err := net.SplitHostPort(c.name.address)
	require.NoError(t, err)
	var counters map[string]any
	require.NoError(t, c.name.bean(t.Context(), "Hadoop:service=NameNode,name=RpcDetailedActivityForPort"+port, &counters))
	calls := map[string]int64{}
	for name, value := range counters {
		method, counts := strings.CutSuffix(name, "NumOps")
		n, number := value.(float64)
		if counts && number && !slices.Contains(fromDataNodes, method) {
			calls[method] = int64(n)
		}
	}
	return calls
}

// DataBytes is how much the DataNodes have on disk.
func (c *Cluster) DataBytes(t testing.TB) (n int64) {
	t.Helper()
	for _, d := range c.data {
		err := filepath.WalkDir(d.folder, func(_ string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return ignoreGone(err)
			}
			info, err := entry.Info()
			if err == nil {
				n += info.Size()
			}
			return ignoreGone(err)
		})
		require.NoError(t, err)
	}
	return n
}

// ignoreGone: files come and go while one looks.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
