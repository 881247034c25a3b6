package cli

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

// versionJSON is what version -o json prints.
type versionJSON struct {
	Version string       `json:"version" doc:"this program's version"`
	Go      string       `json:"go" doc:"the Go release that built it"`
	Target  string       `json:"target" doc:"operating system and processor"`
	Node    *nodeVersion `json:"node,omitempty" doc:"the node that --server or TALOS_SERVER names"`
}

type nodeVersion struct {
	Version        string `json:"version" doc:"the node's version"`
	ClusterID      string `json:"cluster_id" doc:"the cluster's id"`
	NodeID         string `json:"node_id" doc:"the node's id"`
	MaxRecordBytes int    `json:"max_record_bytes" doc:"its record limit"`
	MaxBatchBytes  int    `json:"max_batch_bytes" doc:"its batch limit"`
}

func newVersion(p program, s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program, and of a node",
		Long: `Show the version of this program. If --server or ` + serverEnv + ` names a node, its
version, ids and limits are shown as well.`,
		Args: exactArgs(),
	}
	out := outputFlag(cmd, versionJSON{})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		v := versionJSON{Version: p.version, Go: runtime.Version(), Target: runtime.GOOS + "/" + runtime.GOARCH}
		if _, named := s.address(); named {
			err := s.withClient(cmd, func(ctx context.Context, client *sdk.Client) error {
				node, err := client.ServerVersion(ctx)
				v.Node = &nodeVersion{
					Version: node.Version, ClusterID: node.ClusterID, NodeID: node.NodeID,
					MaxRecordBytes: node.MaxRecordBytes, MaxBatchBytes: node.MaxBatchBytes,
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		if *out == formatJSON {
			return printJSON(cmd.OutOrStdout(), v)
		}
		return v.print(cmd.OutOrStdout())
	}
	return cmd
}

func (v versionJSON) print(w io.Writer) error {
	fields := []field{{"talos", fmt.Sprintf("%s, %s, %s", v.Version, v.Go, v.Target)}}
	if v.Node != nil {
		fields = append(fields,
			field{"node", v.Node.Version},
			field{"node id", v.Node.NodeID},
			field{"cluster", v.Node.ClusterID},
			field{"limits", fmt.Sprintf("records up to %s, batches up to %s",
				humanBytes(int64(v.Node.MaxRecordBytes)), humanBytes(int64(v.Node.MaxBatchBytes)))})
	}
	return writeFields(w, fields...)
}
