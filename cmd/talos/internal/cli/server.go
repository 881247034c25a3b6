package cli

import (
	"errors"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/cmd/talos/internal/config"
	"github.com/talos-log/talos/cmd/talos/internal/node"
)

func newServer(p program) *cobra.Command {
	var flags nodeFlags
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run a node over an etcd cluster and a store",
		Long: `Run a node over an etcd cluster and a store that all nodes see.

All nodes over the same etcd and store are one cluster: each owns some of the
partitions, and tells clients who owns the others. When one is gone the others
take its partitions over.

On SIGINT (Ctrl-C) and SIGTERM the node gives its partitions to the others, one by
one, or closes them if it is the only one or is to be restarted, and ends with 0,
within --drain-timeout; a second signal ends it at once. It logs to standard
error.

Each setting may stand in the file of --config, in the environment
(TALOS_SERVER_...) or in a flag; docs/configuration.md lists them all. Beyond
loopback, TLS and access control are needed, or --insecure.`,
		Example: `  talos server --config talos.yaml
  talos server --etcd etcd1:2379,etcd2:2379,etcd3:2379 --store hdfs://namenode:8020/talos`,
		Args:    exactArgs(),
		GroupID: groupNode,
	}
	flags.add(cmd, config.Server)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, c, err := flags.node(p, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		etcd, err := c.Etcd.Client()
		if err != nil {
			return err
		}
		cfg.Backing = node.External(c.Store, etcd)
		return nodeFault(node.Run(cmd.Context(), cfg))
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
