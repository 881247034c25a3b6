package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/cmd/talos/internal/bench"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

const (
	defaultBenchDuration = 5 * time.Second
	defaultMaxBytes      = 4 << 30
	// defaultFill is how much catch-up writes and reads, in bytes.
	defaultFill = 256 << 20
	// defaultTailRate is what tail consumers are fed with, in records per second.
	defaultTailRate = 1000
)

func newBench(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a node, and this machine beside it",
		Args:  noSuchCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newBenchProduce(s), newBenchConsume(s), newBenchMixed(s))
	return cmd
}

// benchFlags are those of the bench commands; each adds the groups that it needs.
type benchFlags struct {
	bench.Config
	topic       string
	compression string
	profile     string
	output      *format
}

// addCommon adds what all of them have.
func (f *benchFlags) addCommon(cmd *cobra.Command) {
	flags := cmd.Flags()
	durationDefault := "default 5s, unless --count is given"
	if f.Workload == bench.CatchUp {
		durationDefault = "default when all is read"
	}
	flags.StringVar(&f.topic, "topic", "", "use `TOPIC`, and keep it (default a new one, which is deleted)")
	flags.Int32Var(&f.Partitions, "partitions", 16, "give the new topic `N` partitions")
	flags.IntVar(&f.Size, "size", 1024, "make the value of each record `BYTES` long")
	flags.StringVar(&f.compression, "compression", batch.None.String(),
		"`CODEC` of the record batches: none, gzip, snappy, lz4 or zstd")
	flags.IntVar(&f.Rounds, "rounds", 3, "measure `N` rounds, each twice: A and B")
	flags.DurationVar(&f.Duration, "duration", 0, "end each run after `DURATION` ("+durationDefault+")")
	flags.DurationVar(&f.Warmup, "warmup", time.Second, "first run for `DURATION` without counting")
	flags.Int64Var(&f.MaxBytes, "max-bytes", 0, "write at most `BYTES` of values in all runs together (default 4 GiB)")
	flags.StringVar(&f.YardstickDir, "yardstick-dir", "",
		"measure fdatasync in `FOLDER`: one on the disk that the node writes to (default the temporary folder)")
	flags.StringVar(&f.profile, "profile", "", "write profiles of this client, cpu.pprof and allocs.pprof, to `FOLDER`")
	f.output = outputFlag(cmd, bench.Report{})
}

// addProducers adds what a load of producers has.
func (f *benchFlags) addProducers(cmd *cobra.Command, rate float64) {
	rateMeaning := "send `N` records per second in all, each when it is due (default: as fast as --in-flight allows)"
	if rate > 0 {
		rateMeaning = "send `N` records per second in all, each when it is due; 0: as fast as --in-flight allows"
	}
	cmd.Flags().IntVar(&f.Producers, "producers", 4, "run `N` producers, which share the partitions")
	cmd.Flags().IntVar(&f.InFlight, "in-flight", 256, "keep `N` records of each producer in flight, if there is no rate")
	cmd.Flags().Float64Var(&f.Rate, "rate", rate, rateMeaning)
}

func (f *benchFlags) addConsumers(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.Consumers, "consumers", 1, "run `N` consumers, which share the partitions")
}

func (f *benchFlags) addCount(cmd *cobra.Command, meaning string) {
	cmd.Flags().Int64Var(&f.Count, "count", 0, meaning)
}

const endAfterCount = "end each run after `N` records (default: --duration alone ends it)"

// run measures, and prints what was found, also if records failed.
func (f *benchFlags) run(cmd *cobra.Command, s *settings) error {
	if err := f.complete(cmd, s); err != nil {
		return err
	}
	stopProfile, err := startProfile(f.profile)
	if err != nil {
		return err
	}
	bar := newBenchProgress(cmd)
	f.Step = bar.step
	report, err := bench.Run(cmd.Context(), f.Config)
	bar.end()
	err = errors.Join(err, stopProfile())
	if report != nil {
		err = errors.Join(f.print(cmd, report), err)
	}
	return err
}

func (f *benchFlags) print(cmd *cobra.Command, report *bench.Report) error {
	if *f.output == formatJSON {
		return printJSON(cmd.OutOrStdout(), report)
	}
	return printBench(cmd.OutOrStdout(), report)
}

// complete makes the configuration out of the flags.
func (f *benchFlags) complete(cmd *cobra.Command, s *settings) error {
	codec, err := batch.ParseCodec(f.compression)
	if err != nil {
		return &usageError{text: err.Error(), hint: seeHelp(cmd)}
	}
	if f.topic != "" && cmd.Flags().Changed("partitions") {
		return &usageError{text: "--topic and --partitions exclude each other: the topic has its partitions", hint: seeHelp(cmd)}
	}
	f.Codec, f.Topic, f.Timeout = codec, talos.TopicName(f.topic), s.timeout
	f.Dial = func() (*sdk.Client, error) { return s.dial() }
	if f.Workload == bench.CatchUp {
		f.Producers, f.InFlight, f.Rate = 1, 1, 0
		if f.Count == 0 && f.Topic == "" && f.Size > 0 {
			f.Count = max(1, defaultFill/int64(f.Size))
		}
	}
	if f.Workload != bench.CatchUp && f.Count == 0 && !cmd.Flags().Changed("duration") {
		f.Duration = defaultBenchDuration
	}
	if !cmd.Flags().Changed("max-bytes") {
		f.MaxBytes = defaultMaxBytes
	}
	if err := f.Validate(); err != nil {
		return &usageError{text: describe(err), hint: seeHelp(cmd)}
	}
	return nil
}
