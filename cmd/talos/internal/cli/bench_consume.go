package cli

import (
	"github.com/spf13/cobra"
	"github.com/talos-log/talos/cmd/talos/internal/bench"
)

func newBenchConsume(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "consume",
		Short: "Measure consumers",
		Args:  noSuchCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newBenchTail(s), newBenchCatchUp(s))
	return cmd
}

func newBenchTail(s *settings) *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Measure how soon consumers have what is written",
		Long: `Measure how soon consumers have what is written: the time from when a record was
due to be sent until the consumer had it. Producers feed them at --rate. A record
that is acknowledged, and not received within --timeout, counts as failed.

docs/bench.md says how to read what it prints. The exit code is not 0 if a
record failed.`,
		Example: "  talos bench consume tail --rate 5000",
		Args:    exactArgs(),
	}
	f.Workload = bench.Tail
	f.addProducers(cmd, defaultTailRate)
	f.addConsumers(cmd)
	f.addCount(cmd, endAfterCount)
	f.addCommon(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return f.run(cmd, s) }
	return cmd
}

func newBenchCatchUp(s *settings) *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use:   "catch-up",
		Short: "Measure how fast consumers read what is there",
		Long: `Measure how fast consumers read what is there, from the earliest record to the
end. The topic is filled first, with --count records; with --topic, what that
topic holds is read, and nothing is written.

docs/bench.md says how to read what it prints. The exit code is not 0 if a
record could not be read.`,
		Example: `  talos bench consume catch-up
  talos bench consume catch-up --topic logs --consumers 4 --duration 30s`,
		Args: exactArgs(),
	}
	f.Workload = bench.CatchUp
	f.addConsumers(cmd)
	f.addCount(cmd, "write `N` records, and read them in each run; with --topic, end each run after N records (default 256 MiB of them; with --topic: all)")
	f.addCommon(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return f.run(cmd, s) }
	return cmd
}
