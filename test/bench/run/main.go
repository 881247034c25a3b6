// Run compares Talos with other systems on this machine: `make bench`.
//
// The tables go to standard output, or with -o json one object; how it goes on, to
// standard error. With -out, both, and plots of latency percentiles, go to a folder
// as well. The exit code is 0 when all was measured, whether targets were met or not,
// 1 when something failed, 2 for wrong flags.
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

	"github.com/talos-log/talos/test/bench"
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

func run(ctx context.Context, args []string, out, words io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.SetOutput(words)
	output := flags.String("o", "table", "what to print: table (Markdown) or json")
	folder := flags.String("out", "", "folder that gets report.md, report.json and plots (default none)")
	full := flags.Bool("full", false, "all rows, more rounds, longer legs: about two hours")
	rows := flags.String("rows", "", "numbers of rows, separated by commas (default those of the plan)")
	rounds := flags.Int("rounds", 0, "rounds; each contender has two legs in each (default that of the plan)")
	leg := flags.Duration("leg", 0, "how long a leg lasts (default that of the plan)")
	history := flags.Int64("history", 0, "bytes that row 7 catches up with (default that of the plan)")
	soak := flags.Duration("soak", 0, "how long row 11 lasts (default that of the plan)")
	profiles := flags.String("profile", "", "folder that gets a processor profile of the clients in each leg (default none)")
	scratch := flags.String("scratch", "", "folder on whose disk everything is (default the system's temporary one)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag; %w", flags.Arg(0), errUsage)
	}
	if *output != "table" && *output != "json" {
		return fmt.Errorf("-o %s: it is table or json; %w", *output, errUsage)
	}
	plan := bench.ShortPlan()
	if *full {
		plan = bench.FullPlan()
	}
	if *rows != "" {
		if plan.Rows, err = numbers(*rows); err != nil {
			return err
		}
	}
	set(&plan.Rounds, *rounds)
	set(&plan.Leg, *leg)
	set(&plan.History, *history)
	set(&plan.Soak, *soak)
	set(&plan.Scratch, *scratch)
	set(&plan.Profiles, *profiles)
	if err := plan.Validate(); err != nil {
		return fmt.Errorf("%w; %w", err, errUsage)
	}
	if *profiles != "" {
		if err := os.MkdirAll(*profiles, 0o750); err != nil {
			return err
		}
	}
	report, err := bench.Run(ctx, plan, func(format string, args ...any) {
		// What can't be said is no reason to end.
		_, _ = fmt.Fprintf(words, format+"\n", args...)
	})
	if *folder != "" {
		err = errors.Join(err, write(report, *folder))
	}
	if *output == "json" {
		return errors.Join(err, report.WriteJSON(out))
	}
	return errors.Join(err, report.WriteTable(out))
}

// set takes a flag's value if it was given.
func set[T comparable](to *T, value T) {
	var none T
	if value != none {
		*to = value
	}
}

func numbers(list string) (all []int, err error) {
	for part := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, fmt.Errorf("-rows %s: %q is no number; %w", list, part, errUsage)
		}
		all = append(all, n)
	}
	return all, nil
}

// write writes the report, and a plot of each workload, to a folder.
func write(r bench.Report, folder string) error {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	err := errors.Join(
		into(filepath.Join(folder, "report.md"), r.WriteTable),
		into(filepath.Join(folder, "report.json"), r.WriteJSON),
	)
	for _, row := range r.Rows {
		for i, w := range row.Workloads {
			file := filepath.Join(folder, fmt.Sprintf("row-%d-%d.svg", row.Number, i+1))
			drawn := false
			err = errors.Join(err, into(file, func(out io.Writer) (err error) {
				drawn, err = w.WritePlot(out)
				return err
			}))
			if !drawn {
				err = errors.Join(err, os.Remove(file))
			}
		}
	}
	return err
}

func into(file string, f func(io.Writer) error) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(f(out), out.Close())
}
