package chaos

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/test/failpoint"
	"github.com/talos-log/talos/test/process"
	"github.com/talos-log/talos/test/proxy"
)

// member is one node of a world, with the links between it and everybody else.
type member struct {
	*process.Node
	id string
	// gauge is where the node shows its appends in flight.
	gauge string
	env   []string
	// clients is the link that clients use, etcd those to each member of etcd, and
	// store the one to the store; nil if that is a folder.
	clients *proxy.Link
	etcd    []*proxy.Link
	store   *proxy.Link
}

// newMember prepares a node; nothing runs yet.
func newMember(t *testing.T, cfg Config, number int, etcd []string, store backing) *member {
	t.Helper()
	m := &member{
		id: fmt.Sprintf("node-%d", number), gauge: filepath.Join(t.TempDir(), "gauge"),
	}
	m.env = append([]string{failpoint.GaugeEnv + "=" + m.gauge}, store.env...)
	var endpoints []string
	for _, address := range etcd {
		l := link(t, address)
		m.etcd = append(m.etcd, l)
		endpoints = append(endpoints, l.Address())
	}
	at := ""
	if store.address != "" {
		m.store = link(t, store.address)
		at = m.store.Address()
	}
	binary, err := cfg.Program.Binary()
	require.NoError(t, err)
	m.Node = process.New(t, process.Config{Binary: binary, Server: true, Args: append([]string{
		"--node-id", m.id, "--etcd", strings.Join(endpoints, ","), "--store", store.location(at),
		"--session-ttl", cfg.Lease.String(), "--drain-timeout", "10s",
	}, cfg.Args...)})
	m.clients = link(t, m.Listens())
	m.Advertise(m.clients.Address())
	return m
}

func link(t *testing.T, target string) *proxy.Link {
	t.Helper()
	l, err := proxy.Open(target)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func (m *member) launch() { m.Launch(m.env...) }

// links are all of them.
func (m *member) links() []*proxy.Link {
	all := append([]*proxy.Link{m.clients}, m.etcd...)
	if m.store != nil {
		all = append(all, m.store)
	}
	return all
}
