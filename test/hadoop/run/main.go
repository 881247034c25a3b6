// Run is an HDFS on this machine, for trying Talos on it: `make hdfs`.
//
// It is one NameNode and three DataNodes in processes of their own, on loopback,
// without authentication. It runs until Ctrl-C; the data stays.
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
	data := flags.String("data", filepath.Join("talos-data", "hdfs"), "folder that holds everything")
	port := flags.Int("port", 8020, "the NameNode's port on 127.0.0.1")
	nodes := flags.Int("datanodes", 3, "number of DataNodes")
	archive := flags.Bool("archive", false, "keep the classes that the daemons load, so that they start faster; then end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *archive {
		return hadoop.Archive(ctx)
	}
	if _, err := fmt.Fprintf(out, "starting HDFS %s with %d DataNodes, data in %s\n", hadoop.Version, *nodes, *data); err != nil {
		return err
	}
	c, err := hadoop.Start(ctx, hadoop.Config{Folder: *data, Port: *port, DataNodes: *nodes})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "ready; Ctrl-C ends it, and the data stays. The store for Talos:\n\n  --store %s/talos\n\n", c.URL())
	if err == nil {
		<-ctx.Done()
	}
	if err := c.Stop(); err != nil {
		return err
	}
	return err
}
