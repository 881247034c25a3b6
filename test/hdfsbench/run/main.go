// Run compares the HDFS store with Hadoop's own client, on an HDFS that it starts
// for that: `make hdfs-figures`.
//
// The table, or with -o json one object, goes to standard output; how it goes on,
// to standard error. The exit code is 0 when all was measured,
// whether targets were met or not, 1 when something failed, 2 for wrong flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/hdfsbench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, words io.Writer) (err error) {
	plan := hdfsbench.FullPlan()
	flags := flag.NewFlagSet("hdfs-figures", flag.ExitOnError)
	output := flags.String("o", "table", "what to print: table (Markdown) or json")
	only := flags.String("only", "", "workloads, separated by commas: "+strings.Join(hdfsbench.Workloads(), ", ")+" (default all)")
	flags.IntVar(&plan.Rounds, "rounds", plan.Rounds, "rounds; each side has two legs in each")
	flags.DurationVar(&plan.Leg, "leg", plan.Leg, "how long a leg of appends lasts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *output != "table" && *output != "json" {
		return fmt.Errorf("-o %s: it is table or json", *output)
	}
	if *only != "" {
		plan.Only = strings.Split(*only, ",")
	}
	folder, err := os.MkdirTemp("", "talos-figures-hdfs-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	cluster, err := hadoop.Start(ctx, hadoop.Config{Folder: folder})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Kill()) }()
	report, err := hdfsbench.Run(ctx, cluster, plan, words)
	if err != nil {
		return err
	}
	if *output == "json" {
		return report.WriteJSON(out)
	}
	return report.WriteTable(out)
}
