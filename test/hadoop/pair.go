package hadoop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	// nameService is what clients call a pair.
	nameService = "talos"
	// journalNodes is how many there are: a pair goes on with two of them.
	journalNodes = 3

	haAdminClass     = "org.apache.hadoop.hdfs.tools.DFSHAAdmin"
	journalNodeClass = "org.apache.hadoop.hdfs.qjournal.server.JournalNode"
)

// preparePair chooses the ports of two NameNodes and of their JournalNodes. The
// first NameNode is to be active.
func (c *Cluster) preparePair() error {
	for n := range journalNodes {
		d, err := c.journalNode(n + 1)
		if err != nil {
			return err
		}
		c.journals = append(c.journals, d)
	}
	port := c.cfg.Port
	for n := range 2 {
		id := nameNodeID(n)
		if c.cfg.Port != 0 {
			port = c.cfg.Port + n
		}
		// Both have the same host, by which they could not tell who they are.
		d, err := c.nameNode(fmt.Sprintf("namenode-%d", n+1), fmt.Sprintf("name-%d", n+1), port, "-D", "dfs.ha.namenode.id="+id)
		if err != nil {
			return err
		}
		c.pair = append(c.pair, d)
	}
	c.name = c.pair[0]
	return nil
}

// nameNodeID is what the configuration calls the n-th NameNode of a pair.
func nameNodeID(n int) string { return fmt.Sprintf("nn%d", n+1) }

func (c *Cluster) journalNode(n int) (*Daemon, error) {
	d, err := c.daemon(fmt.Sprintf("journalnode-%d", n), fmt.Sprintf("journal-%d", n))
	if err != nil {
		return nil, err
	}
	d.command = func() *exec.Cmd {
		// Most of its classes are a NameNode's.
		return c.java(c.classes("namenode"), journalNodeClass,
			"-D", "dfs.journalnode.edits.dir="+d.folder,
			"-D", "dfs.journalnode.rpc-address="+d.address,
			"-D", "dfs.journalnode.http-address="+d.pages)
	}
	d.await = func(ctx context.Context) error { return c.awaitListening(ctx, d) }
	return d, nil
}

// pairSettings are those of hdfs-site.xml that a pair needs; none without one.
func (c *Cluster) pairSettings() []property {
	if !c.cfg.Pair {
		return nil
	}
	var journals []string
	for _, d := range c.journals {
		journals = append(journals, d.address)
	}
	all := []property{
		{"dfs.nameservices", nameService},
		{"dfs.ha.namenodes." + nameService, nameNodeID(0) + "," + nameNodeID(1)},
		{"dfs.namenode.shared.edits.dir", "qjournal://" + strings.Join(journals, ";") + "/" + nameService},
		{
			"dfs.client.failover.proxy.provider." + nameService,
			"org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider",
		},
		// The JournalNodes keep a former active one from writing. Nothing keeps it from
		// answering.
		{"dfs.ha.fencing.methods", "shell(/bin/true)"},
	}
	for n, d := range c.pair {
		of := "." + nameService + "." + nameNodeID(n)
		all = append(all,
			property{"dfs.namenode.rpc-address" + of, d.address},
			property{"dfs.namenode.http-address" + of, d.pages},
			property{"dfs.namenode.name.dir" + of, fileURL(d.folder)})
	}
	return all
}

// formatPair is format for a pair: the second NameNode gets a copy of the first
// one's data, for which that one must run.
func (c *Cluster) formatPair(ctx context.Context) error {
	if _, err := os.Stat(c.path("name-2", "current", "VERSION")); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := c.wakeAll(ctx, c.journals); err != nil {
		return err
	}
	if err := c.tool(ctx, nameNodeClass, "-D", "dfs.ha.namenode.id="+nameNodeID(0), "-format", "-nonInteractive", "-force"); err != nil {
		return err
	}
	if err := c.wakeAll(ctx, c.pair[:1]); err != nil {
		return err
	}
	return c.tool(ctx, nameNodeClass, "-D", "dfs.ha.namenode.id="+nameNodeID(1), "-bootstrapStandby", "-nonInteractive", "-force")
}

// Standby is the NameNode of a pair that is not NameNode.
func (c *Cluster) Standby() *Daemon {
	if c.name == c.pair[0] {
		return c.pair[1]
	}
	return c.pair[0]
}

// Failover makes the standby the active NameNode, as an operator does after the
// active one has failed: whatever that does, it is not asked.
func (c *Cluster) Failover(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	require.NoError(t, c.activate(ctx, c.Standby()))
	c.name = c.Standby()
}

// FailoverCommand is a line for a shell that makes the standby of a pair active
// after the active NameNode has died.
func (c *Cluster) FailoverCommand() string {
	return fmt.Sprintf("java -cp '%s:%s/lib/*' %s -transitionToActive --forceactive %s",
		c.Configuration(), c.installation.folder, haAdminClass, nameNodeID(slices.Index(c.pair, c.Standby())))
}

// activate makes a NameNode active, once it has started.
func (c *Cluster) activate(ctx context.Context, d *Daemon) error {
	return c.await(ctx, func(ctx context.Context) error { return becomeActive(ctx, d.address) }, d)
}

// settle makes one NameNode of a pair the active one, and the other one its
// standby. A former active one that does not know of its end is killed, unless it
// comes to know just now, and ends.
func (c *Cluster) settle(ctx context.Context) error {
	if err := c.activate(ctx, c.name); err != nil {
		return err
	}
	other := c.Standby()
	var state haState
	err := c.await(ctx, func(ctx context.Context) (err error) {
		state, err = stateOf(ctx, other.address)
		return err
	}, other)
	switch {
	case !other.Running():
		return c.wakeAll(ctx, []*Daemon{other})
	case err != nil || state != active:
		return err
	}
	if err := other.end(syscall.SIGKILL); err != nil {
		return err
	}
	return c.wakeAll(ctx, []*Daemon{other})
}

// standbyHears is an error unless the DataNodes' heartbeats arrive at the standby.
func (c *Cluster) standbyHears(ctx context.Context) error {
	var info nameNodeInfo
	if err := c.Standby().bean(ctx, nameNodeBean, &info); err != nil {
		return err
	}
	for _, d := range c.data {
		if err := info.hears(d); err != nil {
			return err
		}
	}
	return nil
}

// AwaitAnswer waits until a NameNode of a pair answers.
func (c *Cluster) AwaitAnswer(t testing.TB, d *Daemon) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	require.NoError(t, c.await(ctx, func(ctx context.Context) error {
		_, err := stateOf(ctx, d.address)
		return err
	}, d))
}
