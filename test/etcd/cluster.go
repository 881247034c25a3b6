package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/test/process"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const (
	// startTimeout bounds the time until all members serve, on a busy machine.
	startTimeout = 2 * time.Minute
	// askInterval is how often a member is asked that does not serve yet.
	askInterval = 20 * time.Millisecond
	// askTimeout bounds one question.
	askTimeout = 2 * time.Second
	endTimeout = 30 * time.Second
	maxMembers = 5
)

// Config says what to run.
type Config struct {
	// Folder holds the members' data and logs. What an earlier cluster of as many
	// members left there is used again.
	Folder string
	// Members is how many there are: 1 if it is zero.
	Members int
	// Port is where the first member serves clients on 127.0.0.1, the others behind
	// it; free ones if it is zero.
	Port int
}

// Cluster is a running etcd.
type Cluster struct {
	members []*Member
}

// Start runs a cluster, and waits until each member serves. The error shows the
// ends of the members' logs.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	c, err := prepare(cfg)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, m := range c.members {
		// All at once: a member alone of three does not serve.
		err = errors.Join(err, m.launch())
	}
	for _, m := range c.members {
		if err == nil {
			err = m.await(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start etcd: %w\n%s", err, c.Tails()), c.Kill())
	}
	return c, nil
}

// prepare chooses addresses.
func prepare(cfg Config) (*Cluster, error) {
	count := max(1, cfg.Members)
	if count > maxMembers {
		return nil, fmt.Errorf("%d members: %d are possible", count, maxMembers)
	}
	binary, err := process.Tool("etcd")
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	var peers []string
	for i := range count {
		m := &Member{binary: binary, name: fmt.Sprintf("etcd-%d", i+1)}
		m.folder, m.log = filepath.Join(cfg.Folder, m.name), filepath.Join(cfg.Folder, m.name+".log")
		if m.peers, err = process.FreeAddress(); err != nil {
			return nil, err
		}
		if m.address, err = process.FreeAddress(); err != nil {
			return nil, err
		}
		if cfg.Port != 0 {
			m.address = fmt.Sprintf("127.0.0.1:%d", cfg.Port+i)
		}
		if m.peers, err = kept(m.folder+".peers", m.peers); err != nil {
			return nil, err
		}
		peers = append(peers, m.name+"=http://"+m.peers)
		c.members = append(c.members, m)
	}
	for _, m := range c.members {
		m.cluster = strings.Join(peers, ",")
		// A member that is alone need not wait for others' votes.
		m.quick = count == 1
	}
	return c, nil
}

// kept returns what a file says, and writes it if there is none: members know
// each other by the addresses of their first start.
func kept(file, text string) (string, error) {
	before, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return "", err
		}
		return text, os.WriteFile(file, []byte(text), 0o600)
	}
	return string(before), err
}

// ForTest runs a cluster of the test's own, which goes with the test. If the test
// fails, it shows the ends of the members' logs.
func ForTest(t testing.TB, members int) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), Config{Folder: t.TempDir(), Members: members})
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.Tails())
		}
		require.NoError(t, c.Kill())
	})
	return c
}

// Members are all of them, whether they run or not.
func (c *Cluster) Members() []*Member { return c.members }

// Endpoints are the addresses of all members, as host:port.
func (c *Cluster) Endpoints() []string {
	var all []string
	for _, m := range c.members {
		all = append(all, m.address)
	}
	return all
}

// Leader returns the member that leads now. It waits for one.
func (c *Cluster) Leader(ctx context.Context) (*Member, error) {
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	for {
		for _, m := range c.members {
			if s, err := m.status(ctx); err == nil && s.Leader != 0 && s.Leader == s.Header.MemberId {
				return m, nil
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("etcd has no leader: %w", context.Cause(ctx))
		}
	}
}

// Compact forgets all revisions but the newest, and returns that: watches that lag
// behind break.
func (c *Cluster) Compact(ctx context.Context) (revision int64, err error) {
	client, err := c.Client()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	found, err := client.Get(ctx, "talos")
	if err != nil {
		return 0, fmt.Errorf("compact etcd: %w", err)
	}
	revision = found.Header.Revision
	if _, err = client.Compact(ctx, revision, clientv3.WithCompactPhysical()); err != nil {
		return 0, fmt.Errorf("compact etcd: %w", err)
	}
	return revision, nil
}

// Client returns a client of all members, to look at what lies there.
func (c *Cluster) Client() (*clientv3.Client, error) { return newClient(c.Endpoints()) }

func newClient(endpoints []string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: askTimeout, Logger: zap.NewNop()})
}

// Kill ends all members with SIGKILL, and waits until they are gone.
func (c *Cluster) Kill() error { return c.each((*Member).Kill) }

// End ends all members as an operator does, with SIGTERM.
func (c *Cluster) End() error { return c.each((*Member).End) }

func (c *Cluster) each(end func(*Member) error) error {
	var failed []error
	for _, m := range c.members {
		failed = append(failed, end(m))
	}
	return errors.Join(failed...)
}

// maxTail bounds what is shown of a log, in bytes.
const maxTail = 4 << 10

// Tails are the ends of the members' logs.
func (c *Cluster) Tails() string {
	var all strings.Builder
	for _, m := range c.members {
		text, err := os.ReadFile(m.log)
		if err != nil {
			text = []byte(err.Error())
		}
		fmt.Fprintf(&all, "--- the end of %s:\n%s\n", filepath.Base(m.log), text[max(0, len(text)-maxTail):])
	}
	return all.String()
}
