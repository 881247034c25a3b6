package cli

import (
	"github.com/spf13/cobra"
	"github.com/talos-log/talos/cmd/talos/internal/bench"
)

func newBenchProduce(s *settings) *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use:   "produce",
		Short: "Measure producers",
		Long: `Measure producers: how fast records are acknowledged, and how long each takes.

Without --rate it is a closed loop: each producer keeps --in-flight records in
flight. With --rate it is an open loop: records are due at fixed times, and
their latency counts from then.

docs/bench.md says how to read what it prints. The exit code is not 0 if a
record failed.`,
		Example: `  talos bench produce
  talos bench produce --producers 1 --in-flight 1 --partitions 1
  talos bench produce --rate 5000 --yardstick-dir /srv/talos -o json`,
		Args: exactArgs(),
	}
	f.Workload = bench.Produce
	f.addProducers(cmd, 0)
	f.addCount(cmd, endAfterCount)
	f.addCommon(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return f.run(cmd, s) }
	return cmd
}
