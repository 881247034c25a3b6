package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/talos-log/talos/cmd/talos/internal/config"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Look at the configuration of talos server",
		Args:    noSuchCommand,
		RunE:    showHelp,
		GroupID: groupNode,
	}
	cmd.AddCommand(newConfigPrint(), newConfigCheck())
	return cmd
}

const configLong = `
Settings come from the file that --config names, from the environment
(TALOS_SERVER_...) and from the flags of talos server, each layer above the one
before. docs/configuration.md lists them all.`

func newConfigPrint() *cobra.Command {
	var flags nodeFlags
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Show the values that talos server would run with",
		Long: `Show the values that talos server would run with, as a YAML file, and where each
is from. Secrets are masked. Faults are told as well, on standard error.
` + configLong,
		Example: "  talos config print --config talos.yaml",
		Args:    exactArgs(),
	}
	flags.add(cmd, config.Server)
	out := outputFlag(cmd, config.Value{})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, faults := flags.read()
		if *out == formatText {
			if _, err := io.WriteString(cmd.OutOrStdout(), loaded.YAML()); err != nil {
				return err
			}
			return faults
		}
		for _, v := range loaded.Values() {
			if err := printJSON(cmd.OutOrStdout(), v); err != nil {
				return err
			}
		}
		return faults
	}
	return cmd
}

func newConfigCheck() *cobra.Command {
	var flags nodeFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Tell every fault of a configuration",
		Long: `Tell every fault of a configuration at once: unknown keys, values that can't be
used, files that are missing or damaged, what is not secure. Nothing is started,
and no connection is made.
` + configLong,
		Example: "  talos config check --config talos.yaml",
		Args:    exactArgs(),
	}
	flags.add(cmd, config.Server)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := flags.read()
		if err != nil {
			return err
		}
		if what := loaded.Exposed(); what != "" {
			// There is nobody left to tell if this fails.
			_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "warning: insecure is set: %s\n", what)
		}
		_, err = fmt.Fprintln(cmd.ErrOrStderr(), "the configuration has no faults")
		return err
	}
	return cmd
}
