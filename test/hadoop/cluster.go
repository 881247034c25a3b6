package hadoop

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/talos-log/talos/test/process"
)

const (
	defaultDataNodes = 3
	maxDataNodes     = 16
	// startTimeout bounds the time until all daemons serve, on a busy machine.
	startTimeout = 3 * time.Minute

	nameNodeClass = "org.apache.hadoop.hdfs.server.namenode.NameNode"
	dataNodeClass = "org.apache.hadoop.hdfs.server.datanode.DataNode"
)

// Config says what to run.
type Config struct {
	// Folder holds everything. What an earlier cluster left there is used again.
	Folder string
	// DataNodes is how many there are: 3 if it is zero, 16 at most.
	DataNodes int
	// Port is where the NameNode serves on 127.0.0.1; a free one if it is zero. Of a
	// pair it is the first one's.
	Port int
	// Pair makes it two NameNodes of which one is active, and three JournalNodes.
	Pair bool
	// Quick is for clusters that live for a few minutes: the code is compiled
	// quickly instead of well, and buffers are small.
	Quick bool
	// archive makes each daemon write its classes into this folder when it ends,
	// instead of using those of the installation.
	archive string
}

// Cluster is a running HDFS.
type Cluster struct {
	cfg          Config
	installation installation
	// name is the NameNode; of a pair the one that is active, or was made so last.
	name *Daemon
	// pair are both of a pair, and journals keep its edits; nil without one.
	pair, journals []*Daemon
	data           []*Daemon
	// own are settings of a test.
	own []property
}

// Start runs a cluster, and waits until all of it serves. Where the folder has no
// data yet, it is formatted. The error shows the end of the daemons' logs.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	c, err := prepare(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = c.format(ctx)
	if err == nil {
		err = c.restore(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start HDFS: %w\n%s", err, c.Tails()), c.Kill())
	}
	return c, nil
}

// URL is hdfs://127.0.0.1:PORT. That of a pair has its name instead, which those
// understand whose HADOOP_CONF_DIR is Configuration.
func (c *Cluster) URL() string {
	if c.cfg.Pair {
		return "hdfs://" + nameService
	}
	return "hdfs://" + c.name.address
}

// Configuration is the folder of core-site.xml and hdfs-site.xml.
func (c *Cluster) Configuration() string { return c.path("conf") }

// Pages is host:port of the NameNode's HTTP server: its pages for people, /jmx, and
// WebHDFS.
func (c *Cluster) Pages() string { return c.name.pages }

// NameNode is the only one, or the active one of a pair: see Failover.
func (c *Cluster) NameNode() *Daemon { return c.name }

// DataNodes are all of them, whether they run or not.
func (c *Cluster) DataNodes() []*Daemon { return c.data }

// Stop ends the daemons as an operator does, with SIGTERM.
func (c *Cluster) Stop() error { return c.end(syscall.SIGTERM) }

// Kill ends the daemons with SIGKILL. Data that is not on disk yet is still in
// the system's memory: it does not get lost.
func (c *Cluster) Kill() error { return c.end(syscall.SIGKILL) }

// end tells all of them at once, then waits for each.
func (c *Cluster) end(signal os.Signal) error {
	var ended []chan error
	for _, d := range c.daemons() {
		result := make(chan error, 1)
		ended = append(ended, result)
		go func() {
			err := errors.Join(d.audible(), d.end(signal))
			if err != nil {
				err = errors.Join(err, d.end(syscall.SIGKILL))
			}
			result <- err
		}()
	}
	var failed []error
	for _, result := range ended {
		failed = append(failed, <-result)
	}
	return errors.Join(failed...)
}

func (c *Cluster) daemons() []*Daemon { return slices.Concat(c.journals, c.nameNodes(), c.data) }

func (c *Cluster) nameNodes() []*Daemon {
	if c.cfg.Pair {
		return c.pair
	}
	return []*Daemon{c.name}
}

// prepare chooses ports, and writes the configuration.
func prepare(cfg Config) (*Cluster, error) {
	if cfg.DataNodes == 0 {
		cfg.DataNodes = defaultDataNodes
	}
	if cfg.DataNodes < 1 || cfg.DataNodes > maxDataNodes {
		return nil, fmt.Errorf("%d DataNodes: from 1 to %d are possible", cfg.DataNodes, maxDataNodes)
	}
	i, err := installed()
	if err != nil {
		return nil, err
	}
	cfg.Folder, err = filepath.Abs(cfg.Folder)
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, installation: i}
	if cfg.Pair {
		err = c.preparePair()
	} else {
		c.name, err = c.nameNode("namenode", "name", cfg.Port)
	}
	if err != nil {
		return nil, err
	}
	for n := range cfg.DataNodes {
		d, err := c.dataNode(n + 1)
		if err != nil {
			return nil, err
		}
		c.data = append(c.data, d)
	}
	if err := c.configure(); err != nil {
		return nil, err
	}
	return c, nil
}

// nameNode prepares one, at a free port if port is zero.
func (c *Cluster) nameNode(name, folder string, port int, args ...string) (*Daemon, error) {
	d, err := c.daemon(name, folder)
	if err != nil {
		return nil, err
	}
	if port != 0 {
		if d.address, err = fixedAddress(port); err != nil {
			return nil, err
		}
	}
	d.command = func() *exec.Cmd { return c.java(c.classes("namenode"), nameNodeClass, args...) }
	d.await = func(ctx context.Context) error { return c.awaitListening(ctx, d) }
	return d, nil
}

func (c *Cluster) dataNode(n int) (*Daemon, error) {
	d, err := c.daemon(fmt.Sprintf("datanode-%d", n), fmt.Sprintf("data-%d", n))
	if err != nil {
		return nil, err
	}
	ipc, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	d.ports = append(d.ports, ipc)
	d.command = func() *exec.Cmd {
		return c.java(c.classes("datanode"), dataNodeClass,
			"-D", "dfs.datanode.data.dir="+fileURL(d.folder),
			"-D", "dfs.datanode.address="+d.address,
			"-D", "dfs.datanode.http.address="+d.pages,
			"-D", "dfs.datanode.ipc.address="+ipc)
	}
	d.await = func(ctx context.Context) error { return c.awaitDataNode(ctx, d) }
	return d, nil
}

// daemon is what both kinds have.
func (c *Cluster) daemon(name, folder string) (*Daemon, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	pages, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	return &Daemon{
		name: name, address: address, pages: pages,
		folder: c.path(folder), log: c.path("log", name+".log"), ports: []string{address, pages},
	}, nil
}

// format makes an empty file system, unless there is one.
func (c *Cluster) format(ctx context.Context) error {
	if c.cfg.Pair {
		return c.formatPair(ctx)
	}
	if _, err := os.Stat(c.path("name", "current", "VERSION")); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return c.tool(ctx, nameNodeClass, "-format", "-nonInteractive")
}

// tool runs a command of Hadoop to its end.
func (c *Cluster) tool(ctx context.Context, class string, args ...string) error {
	prepared := c.java(c.installation.classes("namenode"), class, args...)
	cmd := exec.CommandContext(ctx, prepared.Path, prepared.Args[1:]...)
	cmd.Env, cmd.SysProcAttr = prepared.Env, prepared.SysProcAttr
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", class, strings.Join(args, " "), err, out)
	}
	return nil
}

func fileURL(path string) string { return (&url.URL{Scheme: "file", Path: path}).String() }
