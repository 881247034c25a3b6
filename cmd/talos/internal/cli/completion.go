package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// shells are those that completion is there for.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func newCompletion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script that completes commands, flags and topics",
		Long: `Print a script that makes bash, zsh, fish or powershell complete commands, flags,
and what they take. Topics are asked of the node that --server or ` + serverEnv + `
names; if none answers soon, there is nothing to choose from.

  bash        talos completion bash > ~/.local/share/bash-completion/completions/talos
              (needs the package bash-completion; takes effect in a new shell)
  zsh         talos completion zsh > "${fpath[1]}/_talos"
              (with "autoload -U compinit; compinit" in ~/.zshrc)
  fish        talos completion fish > ~/.config/fish/completions/talos.fish
  powershell  talos completion powershell | Out-String | Invoke-Expression
              (in the profile, to have it in every session)`,
		Example:   "  source <(talos completion bash)",
		Args:      exactArgs("a shell"),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			return printCompletion(cmd.Root(), cmd.OutOrStdout(), args[0])
		},
	}
}

func printCompletion(root *cobra.Command, w io.Writer, shell string) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(w, true)
	case "zsh":
		return root.GenZshCompletion(w)
	case "fish":
		return root.GenFishCompletion(w, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(w)
	default:
		return &usageError{
			text: fmt.Sprintf("there is no completion for %q", shell), hint: "there is one for " + strings.Join(shells, ", "),
		}
	}
}

// addCompletions says of every command and flag below cmd what its values are;
// topics are what s says of them. Where nothing else fits, files are not offered.
func addCompletions(cmd *cobra.Command, s *settings) {
	for _, sub := range cmd.Commands() {
		addCompletions(sub, s)
	}
	arguments, _, _ := strings.Cut(strings.TrimPrefix(cmd.Use, cmd.Name()+" "), " ")
	switch {
	case cmd.ValidArgsFunction != nil || len(cmd.ValidArgs) > 0:
	case arguments == "TOPIC" && cmd.Name() != "create":
		cmd.ValidArgsFunction = s.completeTopic
	case arguments == "NODE":
		cmd.ValidArgsFunction = s.completeNode
	case arguments == "GROUP":
		cmd.ValidArgsFunction = s.completeGroup
	case arguments == "FOLDER":
	default:
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if complete := s.flagCompletion(f); complete != nil {
			// It fails for a flag that has one already.
			_ = cmd.RegisterFlagCompletionFunc(f.Name, complete)
		}
	})
}

// flagCompletion tells what a flag's values are by its name and by what its usage
// calls them; nil for files.
func (s *settings) flagCompletion(f *pflag.Flag) cobra.CompletionFunc {
	if value, _ := pflag.UnquoteUsage(f); value == "PLACE" && f.Name != "until" {
		return fixed("earliest", "latest")
	}
	switch f.Name {
	case "output":
		return fixed(string(formatText), string(formatJSON))
	case "compression":
		return fixed("none", "gzip", "snappy", "lz4", "zstd")
	case "durability":
		return fixed("sync", "flush")
	case "log-level":
		return fixed("debug", "info", "warn", "error")
	case "topic":
		return alone(s.completeTopic)
	case "group":
		return alone(s.completeGroup)
	case "partition":
		return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if topic := cmd.Flags().Lookup("topic"); topic != nil {
				args = []string{topic.Value.String()}
			}
			return s.completePartition(cmd, args, prefix)
		}
	case "to", "without":
		return alone(s.completeNode)
	}
	switch value, _ := pflag.UnquoteUsage(f); value {
	case "FILE":
		return nil
	case "FOLDER":
		return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
	default:
		return cobra.NoFileCompletions
	}
}

// alone completes a flag, whatever the command's arguments are.
func alone(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return f(cmd, nil, prefix)
	}
}

// fixed offers values in their order.
func fixed(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(slices.Clone(values), cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder)
}
