// Run is an HDFS on this machine, for trying Talos on it: `make hdfs`.
//
// It is one NameNode and three DataNodes in processes of their own, on loopback,
// without authentication; with --ha, a pair of NameNodes. It runs until Ctrl-C; the
// data stays.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/talos-log/talos/test/hadoop"
)

func main() {
	// A second Ctrl-C ends it at once, and with it the daemons.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("hdfs", flag.ExitOnError)
	data := flags.String("data", "", "folder that holds everything (default talos-data/hdfs, of a pair talos-data/hdfs-ha)")
	port := flags.Int("port", 8020, "the NameNode's port on 127.0.0.1")
	nodes := flags.Int("datanodes", 3, "number of DataNodes")
	pair := flags.Bool("ha", false, "a pair of NameNodes, the second one at the next port, with three JournalNodes")
	archive := flags.Bool("archive", false, "keep the classes that the daemons load, so that they start faster; then end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *archive {
		return hadoop.Archive(ctx)
	}
	if *data == "" {
		*data = filepath.Join("talos-data", "hdfs")
		if *pair {
			// What was formatted for one NameNode alone is none of a pair's.
			*data += "-ha"
		}
	}
	if _, err := fmt.Fprintf(out, "starting HDFS %s with %d DataNodes, data in %s\n", hadoop.Version, *nodes, *data); err != nil {
		return err
	}
	c, err := hadoop.Start(ctx, hadoop.Config{Folder: *data, Port: *port, DataNodes: *nodes, Pair: *pair})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "ready; Ctrl-C ends it, and the data stays. The store for Talos:\n\n  --store %s/talos\n\n", c.URL())
	if err == nil && *pair {
		err = explainPair(out, c)
	}
	if err == nil {
		<-ctx.Done()
	}
	if err := c.Stop(); err != nil {
		return err
	}
	return err
}

// explainPair says how clients find a pair, and how the other NameNode is made the
// active one.
func explainPair(out io.Writer, c *hadoop.Cluster) error {
	_, err := fmt.Fprintf(out, `with HADOOP_CONF_DIR=%s in the environment.

To see a failover, kill the active NameNode (pid %d), and ask for it with Hadoop's tool:

  %s

`, c.Configuration(), c.NameNode().Pid(), c.FailoverCommand())
	return err
}
