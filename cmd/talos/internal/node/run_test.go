package node

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/coordinator/embedded"
	"github.com/talos-log/talos/coordinator/etcd"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var nowhere = slog.New(slog.DiscardHandler)

// start runs a node until stop is called.
func start(t *testing.T, cfg Config) (at Addresses, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan Addresses, 1)
	ended := make(chan error, 1)
	cfg.Logger = nowhere
	cfg.Started = func(at Addresses) { started <- at }
	go func() { ended <- Run(ctx, cfg) }()
	stop = func() error {
		cancel()
		return <-ended
	}
	select {
	case at = <-started:
	case err := <-ended:
		cancel()
		require.NoError(t, err, "the node ended before it served")
	}
	return at, stop
}

func TestRunServesUntilItIsStopped(t *testing.T) {
	for name, backing := range map[string]Backing{
		"memory": Memory(),
		"folder": Folder(filepath.Join(t.TempDir(), "data"), ""),
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // what is left behind does not prevent a second start
				at, stop := start(t, Config{Backing: backing, Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0"})
				answer, err := http.Get("http://" + at.HTTP + "/readyz")
				require.NoError(t, err)
				require.NoError(t, answer.Body.Close())
				require.Equal(t, http.StatusOK, answer.StatusCode)
				http.DefaultClient.CloseIdleConnections()

				require.NoError(t, stop())
				_, err = net.Dial("tcp", at.RPC)
				require.ErrorIs(t, err, syscall.ECONNREFUSED)
			}
		})
	}
}

// Nothing is started, or made, for a store that there can't be.
func TestRunLooksAtTheStoresURLFirst(t *testing.T) {
	for _, store := range []string{"ftp://nas/talos", "s3://id:secret@bucket", "file://host/path"} {
		data := filepath.Join(t.TempDir(), "data")
		err := Run(t.Context(), Config{Backing: Folder(data, store), Listen: "127.0.0.1:0", Logger: nowhere})
		require.ErrorIs(t, err, talos.InvalidConfig, store)
		require.NoDirExists(t, data, store)
	}
}

// Over one etcd and one folder, nodes share the partitions; one that ends gives its
// own to the other.
func TestNodesOverOneEtcdShareThePartitions(t *testing.T) {
	server, err := embedded.Start(t.Context(), filepath.Join(t.TempDir(), "etcd"), nowhere)
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	backing := External(filepath.Join(t.TempDir(), "store"), etcd.Config{Endpoints: []string{server.Endpoint()}})

	first, stopFirst := start(t, Config{Backing: backing, Listen: "127.0.0.1:0"})
	second, stopSecond := start(t, Config{Backing: backing, Listen: "127.0.0.1:0"})
	defer func() { require.NoError(t, stopSecond()) }()
	client, err := sdk.Dial(second.RPC)
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	_, err = client.CreateTopic(t.Context(), "logs", 8, talos.TopicConfig{})
	require.NoError(t, err)
	producer, err := client.NewProducer(t.Context(), "logs")
	require.NoError(t, err)
	for i := range 100 {
		require.NoError(t, producer.Send(t.Context(), int32(i%8), talos.Record{Value: []byte("a")}, nil))
	}
	require.NoError(t, producer.Flush(t.Context()))
	ownersAre(t, client, first.RPC, second.RPC)

	require.NoError(t, stopFirst())
	ownersAre(t, client, second.RPC)
	for i := range 100 {
		require.NoError(t, producer.Send(t.Context(), int32(i%8), talos.Record{Value: []byte("b")}, nil))
	}
	require.NoError(t, producer.Close(t.Context()))
	offsets, err := client.Offsets(t.Context(), "logs")
	require.NoError(t, err)
	records := talos.Offset(0)
	for _, o := range offsets {
		require.NoError(t, o.Err)
		records += o.Range.End
	}
	require.Equal(t, talos.Offset(200), records)
}

// ownersAre waits until exactly these addresses own the partitions.
func ownersAre(t *testing.T, client *sdk.Client, want ...string) {
	t.Helper()
	slices.Sort(want)
	require.Eventually(t, func() bool {
		d, err := client.Describe(t.Context(), "logs")
		require.NoError(t, err)
		var owners []string
		for _, p := range d.Partitions {
			owners = append(owners, p.Address)
		}
		slices.Sort(owners)
		return slices.Equal(want, slices.Compact(owners))
	}, 30*time.Second, 5*time.Millisecond)
}

func TestRunUndoesWhatItOpened(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close() //nolint:errcheck // nothing is lost
	data := t.TempDir()

	t.Run("a port is taken", func(t *testing.T) {
		err := Run(t.Context(), Config{Backing: Folder(data, ""), Listen: "127.0.0.1:0", HTTP: taken.Addr().String(), Logger: nowhere})
		require.ErrorIs(t, err, syscall.EADDRINUSE)
	})
	t.Run("the node's id can't be read", func(t *testing.T) {
		path := filepath.Join(data, "node-id")
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		err := Run(t.Context(), Config{Backing: Folder(data, ""), Listen: "127.0.0.1:0", Logger: nowhere})
		require.ErrorContains(t, err, "is empty: remove it")
		require.NoError(t, os.Remove(path))
	})
	t.Run("the folder is free again", func(t *testing.T) {
		_, stop := start(t, Config{Backing: Folder(data, ""), Listen: "127.0.0.1:0"})
		defer func() { require.NoError(t, stop()) }()
		err := Run(t.Context(), Config{Backing: Folder(data, ""), Listen: "127.0.0.1:0", Logger: nowhere})
		require.ErrorIs(t, err, talos.StoreInUse)
	})
}

func TestNodeIDIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node-id")
	first, err := keptID(path)
	require.NoError(t, err)
	require.Regexp(t, `^node-[0-9a-f]{8}$`, first)
	second, err := keptID(path)
	require.NoError(t, err)
	require.Equal(t, first, second)

	require.NoError(t, os.WriteFile(path, []byte("my-node\n"), 0o600))
	chosen, err := keptID(path)
	require.NoError(t, err)
	require.Equal(t, "my-node", chosen)
}

func TestAdvertisedAddress(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	for name, test := range map[string]struct {
		advertise, bound, want string
	}{
		"as bound":          {"", "10.0.0.1:7070", "10.0.0.1:7070"},
		"everywhere":        {"", "0.0.0.0:7070", host + ":7070"},
		"everywhere, IPv6":  {"", "[::]:7070", host + ":7070"},
		"the user's choice": {"talos.example:80", "0.0.0.0:7070", "talos.example:80"},
	} {
		t.Run(name, func(t *testing.T) {
			bound, err := net.ResolveTCPAddr("tcp", test.bound)
			require.NoError(t, err)
			got, err := advertised(Config{Advertise: test.advertise}, bound)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}
