// Run measures a cluster of Talos, with processes that it starts for that:
// `make cluster-figures`.
//
// The table, or with -o json one object, goes to standard output; how it goes on,
// to standard error. The exit code is 0 when all was measured, whether targets were
// met or not, 1 when something failed, 2 for wrong flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/talos-log/talos/test/clusterbench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, errUsage) {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var errUsage = errors.New("see -help")

func run(ctx context.Context, args []string, out, words io.Writer) error {
	plan := clusterbench.FullPlan()
	flags := flag.NewFlagSet("cluster-figures", flag.ExitOnError)
	output := flags.String("o", "table", "what to print: table (Markdown) or json")
	only := flags.String("only", "", "figures, separated by commas: "+strings.Join(clusterbench.Figures(), ", ")+" (default all)")
	stores := flags.String("store", "local", "stores, separated by commas: local, s3, hdfs")
	flags.StringVar(&plan.Binary, "talos", filepath.Join("bin", "talos"), "the program")
	flags.DurationVar(&plan.Lease, "lease", plan.Lease, "how long a node that was killed keeps its partitions")
	flags.IntVar(&plan.Rate, "rate", plan.Rate, "records a second")
	flags.IntVar(&plan.Moves, "moves", plan.Moves, "move: how many partitions")
	flags.IntVar(&plan.Kills, "kills", plan.Kills, "kill: how many rounds")
	number(flags, &plan.DrainPartitions, "drain-partitions", "drain: partitions of the node")
	number(flags, &plan.IdlePartitions, "idle-partitions", "idle: partitions")
	number(flags, &plan.TailPartitions, "tails", "takeover: partitions")
	flags.Int64Var(&plan.TailBytes, "tail-bytes", plan.TailBytes, "takeover: bytes of each partition")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag; %w", flags.Arg(0), errUsage)
	}
	if *output != "table" && *output != "json" {
		return fmt.Errorf("-o %s: it is table or json; %w", *output, errUsage)
	}
	if *only != "" {
		plan.Only = strings.Split(*only, ",")
	}
	plan.Stores = nil
	for _, name := range strings.Split(*stores, ",") {
		plan.Stores = append(plan.Stores, clusterbench.StoreKind(name))
	}
	if err := plan.Validate(); err != nil {
		return fmt.Errorf("%w; %w", err, errUsage)
	}
	report, err := clusterbench.Run(ctx, plan, words)
	// What was measured before something failed took its time.
	write := report.WriteTable
	if *output == "json" {
		write = report.WriteJSON
	}
	return errors.Join(err, write(out))
}

// number is a flag of how many partitions.
func number(flags *flag.FlagSet, to *int32, name, usage string) {
	flags.Func(name, fmt.Sprintf("%s (default %d)", usage, *to), func(text string) error {
		n, err := strconv.ParseInt(text, 10, 32)
		*to = int32(n)
		return err
	})
}
