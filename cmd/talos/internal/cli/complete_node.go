package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

// completeNode offers the nodes of the cluster, nothing if it does not answer.
func (s *settings) completeNode(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const done = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 {
		return nil, done
	}
	status, err := soon(cmd, s, (*sdk.Client).Cluster)
	if err != nil {
		return nil, done
	}
	var nodes []cobra.Completion
	for _, n := range status.Nodes {
		if strings.HasPrefix(n.ID, prefix) && len(nodes) < maxCompletions {
			nodes = append(nodes, cobra.CompletionWithDesc(n.ID, nodeState(n)))
		}
	}
	return nodes, done
}
