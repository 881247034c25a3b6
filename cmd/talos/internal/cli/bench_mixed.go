package cli

import (
	"github.com/spf13/cobra"
	"github.com/talos-log/talos/cmd/talos/internal/bench"
)

func newBenchMixed(s *settings) *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use:   "mixed",
		Short: "Measure producers, and consumers at the tail, at once",
		Long: `Measure producers and consumers at once. The consumers read what the producers
write, as it comes; their latency is the time from when a record was sent (with
--rate: was due) until the consumer had it. A record that is acknowledged, and
not received within --timeout, counts as failed.

docs/bench.md says how to read what it prints. The exit code is not 0 if a
record failed.`,
		Example: `  talos bench mixed
  talos bench mixed --rate 20000 --producers 8 --consumers 4`,
		Args: exactArgs(),
	}
	f.Workload = bench.Mixed
	f.addProducers(cmd, 0)
	f.addConsumers(cmd)
	f.addCount(cmd, endAfterCount)
	f.addCommon(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return f.run(cmd, s) }
	return cmd
}
