package cli

import (
	"errors"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/cmd/talos/internal/node"
	"github.com/talos-log/talos/cmd/talos/internal/stores"
)

func newServer(p program) *cobra.Command {
	var (
		flags     nodeFlags
		etcd      []string
		store     string
		nodeID    string
		advertise string
	)
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run a node over an etcd cluster and a store",
		Long: `Run a node over an etcd cluster and a store that all nodes see.

One node is active and owns all partitions. Every further node over the same
etcd waits as a standby: it answers clients with the active node's address, and
takes over when that one ends.

The node ends cleanly on SIGINT (Ctrl-C) and SIGTERM, and logs to standard
error.`,
		Example: "  talos server --etcd etcd1:2379,etcd2:2379,etcd3:2379 --store hdfs://namenode:8020/talos --listen 0.0.0.0:7070",
		Args:    exactArgs(),
		GroupID: groupNode,
	}
	cmd.Flags().StringSliceVar(&etcd, "etcd", nil, "`HOST:PORT,...` of etcd's members (needed)")
	cmd.Flags().StringVar(&store, "store", "", "`URL` of the store for the segments (needed): "+stores.Forms)
	cmd.Flags().StringVar(&nodeID, "node-id", "",
		"`ID` that is unique in the cluster, and the same after a restart (default the advertised address)")
	cmd.Flags().StringVar(&advertise, "advertise", "",
		"`HOST:PORT` as clients reach --listen (default that address, or the host's name if it is 0.0.0.0)")
	flags.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for name, missing := range map[string]bool{"--etcd": len(etcd) == 0, "--store": store == ""} {
			if missing {
				return &usageError{text: name + " is missing", hint: seeHelp(cmd)}
			}
		}
		return nodeFault(node.Run(cmd.Context(), node.Config{
			Backing: node.External(store, etcd), Listen: flags.listen, HTTP: flags.http,
			Advertise: advertise, ID: nodeID,
			Version: p.version, Logger: flags.logger(cmd.ErrOrStderr()),
		}))
	}
	return cmd
}

// nodeFault adds advice to errors that have none in the table.
func nodeFault(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return &hintedError{error: err, hint: "another process listens there; choose other ports with --listen and --http"}
	}
	return err
}
