package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/cmd/talos/internal/config"
	"github.com/talos-log/talos/cmd/talos/internal/node"
	"github.com/talos-log/talos/cmd/talos/internal/stores"
)

func newDev(p program) *cobra.Command {
	var (
		flags  nodeFlags
		data   string
		store  string
		memory bool
	)
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run one node with everything in it, for development",
		Long: `Run one node with everything in it: an embedded etcd, and a store in a folder.
What is acknowledged is synced to disk, and is there again after a restart,
also after kill -9. With --memory nothing is kept. With --store the segments go
to another store, and only etcd's data to the folder.

The node ends cleanly on SIGINT (Ctrl-C) and SIGTERM. It prints where it listens
to standard output when it serves, and logs to standard error.`,
		Example: `  talos dev
  talos dev --memory --listen 127.0.0.1:0
  talos dev --store hdfs://namenode:8020/talos`,
		Args:    exactArgs(),
		GroupID: groupNode,
	}
	cmd.Flags().StringVar(&data, "data", defaultData, "`FOLDER` for all data; made with mode 0700 if it is missing")
	cmd.Flags().StringVar(&store, "store", "", "`URL` of the store for the segments (default <data>/store): "+stores.Forms)
	cmd.Flags().BoolVar(&memory, "memory", false, "keep everything in memory")
	flags.add(cmd, config.Dev)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, other := range []string{"data", "store"} {
			if memory && cmd.Flags().Changed(other) {
				return &usageError{text: "--memory and --" + other + " exclude each other", hint: seeHelp(cmd)}
			}
		}
		backing, kept := node.Folder(data, store), data
		if store != "" {
			kept = store + ", etcd's in " + data
		}
		if memory {
			backing, kept = node.Memory(), "in memory, gone when this ends"
		}
		cfg, _, err := flags.node(p, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		cfg.Backing = backing
		cfg.Started = func(at node.Addresses) { p.welcome(cmd.OutOrStdout(), at, kept) }
		return nodeFault(node.Run(cmd.Context(), cfg))
	}
	return cmd
}

// welcome says where the node listens, and what to type next.
func (p program) welcome(w io.Writer, at node.Addresses, kept string) {
	var b strings.Builder
	fmt.Fprintf(&b, "Talos serves.\n\n  clients  %s\n", at.RPC)
	if at.HTTP != "" {
		fmt.Fprintf(&b, "  pages    http://%s  (/healthz /readyz /metrics /debug/pprof)\n", at.HTTP)
	}
	fmt.Fprintf(&b, "  data     %s\n\nNext, in another terminal:\n\n", kept)
	server := ""
	if at.RPC != defaultServer {
		server = " --server " + at.RPC
	}
	fmt.Fprintf(&b, "  %s topic create logs --partitions 4%s\n", p.name, server)
	fmt.Fprintf(&b, "  echo 'hello, log' | %s produce logs%s\n", p.name, server)
	fmt.Fprintf(&b, "  %s consume logs --from earliest%s\n\n", p.name, server)
	// A node whose output was closed goes on serving.
	_, _ = io.WriteString(w, b.String())
}
