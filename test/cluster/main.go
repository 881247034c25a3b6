// Cluster is a cluster of Talos on this machine, for trying it: `make cluster`.
//
// It is several `talos server` processes, an etcd, and a store that they share,
// on loopback, without authentication. It runs until Ctrl-C; the data stays. A node
// that somebody kills is started again after a while.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/talos-log/talos/test/etcd"
)

// endTimeout bounds the end of a node on Ctrl-C; then it is killed.
const endTimeout = 30 * time.Second

func main() {
	// A second Ctrl-C ends it at once, and with it all the others.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// settings are what the command line says.
type settings struct {
	data, store, binary string
	nodes, members      int
	port                int
	again, lease        time.Duration
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("cluster", flag.ExitOnError)
	flags.StringVar(&s.data, "data", filepath.Join("talos-data", "cluster"), "folder that holds everything")
	flags.StringVar(&s.store, "store", "", "where segments go, as --store of `talos server` takes it (default a folder below --data)")
	flags.StringVar(&s.binary, "talos", filepath.Join("bin", "talos"), "the program")
	flags.IntVar(&s.nodes, "nodes", 3, "number of nodes")
	flags.IntVar(&s.members, "etcd", 1, "number of members of etcd")
	flags.IntVar(&s.port, "port", 7070, "the first node's port on 127.0.0.1, the others are 10 apart; 0 for free ones")
	flags.DurationVar(&s.lease, "lease", 3*time.Second, "how long a node that was killed keeps its partitions")
	flags.DurationVar(&s.again, "again", 15*time.Second, "how long a node that was killed stays away; 0 for ever")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	var err error
	if s.data, err = filepath.Abs(s.data); err != nil {
		return s, err
	}
	if s.store == "" {
		s.store = "file://" + filepath.Join(s.data, "store")
	}
	return s, os.MkdirAll(s.data, 0o700)
}

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	members, err := etcd.Start(ctx, etcd.Config{Folder: filepath.Join(s.data, "etcd"), Members: s.members})
	if err != nil {
		return err
	}
	c := &cluster{settings: s, etcd: strings.Join(members.Endpoints(), ","), out: out}
	err = c.start(ctx)
	if err == nil {
		err = c.tell()
	}
	if err == nil {
		err = c.watch(ctx)
	}
	return errors.Join(err, c.end(), members.End())
}
