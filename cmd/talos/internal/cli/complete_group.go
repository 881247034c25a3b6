package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

// completeGroup offers the consumer groups of the cluster, nothing if it does not
// answer.
func (s *settings) completeGroup(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const done = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 {
		return nil, done
	}
	groups, err := soon(cmd, s, (*sdk.Client).Groups)
	if err != nil {
		return nil, done
	}
	var names []cobra.Completion
	for _, g := range groups {
		if strings.HasPrefix(g.Name, prefix) && len(names) < maxCompletions {
			names = append(names, cobra.CompletionWithDesc(g.Name, count(g.Members, "member")))
		}
	}
	return names, done
}
