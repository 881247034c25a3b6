package cli

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/talos"
)

// clockSlack is how far the clocks of nodes may be ahead of this machine's.
const clockSlack = time.Hour

type consumeFlags struct {
	from, until   string
	partition     int32
	max           int64
	follow        bool
	template      string
	keys, headers bool
	group         string
	instance      string
}

func newConsume(s *settings) *cobra.Command {
	var flags consumeFlags
	cmd := &cobra.Command{
		Use:   "consume TOPIC",
		Short: "Read records and print their values, each followed by a newline",
		Long: `Read records and print their values byte for byte, each followed by a newline.

All partitions are read, unless --partition names one. Records of one partition
come in the order of their offsets; those of different partitions mix.

Without --follow the command ends at the end that each partition had when it
started. With --follow it waits for more until it is interrupted (Ctrl-C), which
counts as success, as does a reader that closes the output, such as head. It
lives through restarts of the node.

With --group the command is a member of a consumer group: the members share the
topic's partitions, what is printed is committed, and the next one goes on behind
it. It waits for more until it is interrupted, or has printed --max records; --from
counts in partitions of which nothing is committed.

Where to begin and to end, in each partition:
  earliest, latest      the oldest record; behind the newest one
  1234                  an offset
  2026-11-25T14:30:00Z  the first batch that a node took at this time or later; a
                        date, and a time without a zone, are local
  -15m, -36h, -7d       the same, counted from now

What --format prints of each record, without a newline of its own:
` + formatHelp() + `and \n \t \r \0 \\ and \xHH for bytes.

With -o json, one object per line.`,
		Example: `  talos consume logs --from earliest
  talos consume logs --from -15m --follow
  talos consume logs --from 2026-11-25 --until 2026-11-26 --keys
  talos consume logs --partition 2 --from 100 --max 10 -o json
  talos consume logs --group printers
  talos consume logs --format '%p/%o %T %k: %s\n'`,
		Args: exactArgs("a topic"),
	}
	cmd.Flags().StringVar(&flags.from, "from", "earliest", "begin at `PLACE`: see above")
	cmd.Flags().StringVar(&flags.until, "until", "", "end before `PLACE`: an offset or a time, see above (default the end)")
	partitionFlag(cmd, &flags.partition, "read partition `N` (default all)")
	cmd.Flags().Int64VarP(&flags.max, "max", "n", 0, "end after `N` records in total (default all)")
	cmd.Flags().BoolVar(&flags.follow, "follow", false, "wait for more records at the end")
	cmd.Flags().StringVar(&flags.template, "format", "", "print each record as `FORMAT` says: see above")
	cmd.Flags().BoolVar(&flags.keys, "keys", false, "print the key and a tab before each value")
	cmd.Flags().BoolVar(&flags.headers, "headers", false, "print the headers and a tab before each record, as key=value,key=value")
	cmd.Flags().StringVar(&flags.group, "group", "", "read as a member of `GROUP`, and commit what is printed")
	cmd.Flags().StringVar(&flags.instance, "instance", "", "with --group: come back as instance `ID`, which keeps its partitions meanwhile")
	out := outputFlag(cmd, recordJSON{})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		plan, err := flags.plan(cmd, *out, time.Now())
		if err != nil {
			return err
		}
		plan.topic = talos.TopicName(args[0])
		if plan.group != "" {
			plan.commitTime = s.timeout
			return consumeAsMember(cmd, s, plan)
		}
		return consume(cmd, s, plan)
	}
	return cmd
}

// consumePlan is what the command line asks for.
type consumePlan struct {
	topic       talos.TopicName
	partition   int32 // or allPartitions
	from, until place // until is an offset or a time, or earliest: not given
	max         int64 // 0 for all
	follow      bool
	output      format
	template    recordFormat
	// group is empty unless it reads as a member; commitTime bounds a commit.
	group, instance string
	commitTime      time.Duration
}

// plan checks the flags.
func (f consumeFlags) plan(cmd *cobra.Command, out format, now time.Time) (consumePlan, error) {
	refuse := func(format string, args ...any) (consumePlan, error) {
		return consumePlan{}, &usageError{text: fmt.Sprintf(format, args...), hint: seeHelp(cmd)}
	}
	if err := checkPartition(cmd, &f.partition); err != nil {
		return consumePlan{}, err
	}
	p := consumePlan{partition: f.partition, max: f.max, follow: f.follow, output: out, group: f.group, instance: f.instance}
	for _, name := range []string{"partition", "until"} {
		if f.group != "" && cmd.Flags().Changed(name) {
			return refuse("--group and --%s exclude each other", name)
		}
	}
	if f.instance != "" && f.group == "" {
		return refuse("--instance wants --group")
	}
	if cmd.Flags().Changed("max") && f.max < 1 {
		return refuse("--max %d: want at least 1", f.max)
	}
	var err error
	if p.from, err = parsePlace(f.from, now); err != nil {
		return refuse("--from %q: %v, or earliest, or latest", f.from, err)
	}
	if p.from.kind == atTime && p.from.time.After(now.Add(clockSlack)) {
		// It would print nothing, and look as if there were nothing.
		return refuse("--from %q lies in the future", f.from)
	}
	if cmd.Flags().Changed("until") {
		p.until, err = parsePlace(f.until, now)
		switch {
		case err != nil:
			return refuse("--until %q: %v", f.until, err)
		case p.until.kind != atOffset && p.until.kind != atTime:
			return refuse("--until %q: want %s", f.until, placeForms)
		case f.follow:
			return refuse("--until and --follow exclude each other")
		}
	}
	template, err := f.recordTemplate(cmd, out)
	if err != nil {
		return refuse("%v", err)
	}
	if p.template, err = parseRecordFormat(template); err != nil {
		return refuse("--format %q: %v", template, err)
	}
	return p, nil
}

// recordTemplate is the format of a record, given or made out of other flags.
func (f consumeFlags) recordTemplate(cmd *cobra.Command, out format) (string, error) {
	var given []string
	for _, name := range []string{"format", "keys", "headers"} {
		if cmd.Flags().Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if out == formatJSON && len(given) > 0 {
		return "", fmt.Errorf("%s and -o json exclude each other: the JSON has all of a record", given[0])
	}
	if slices.Contains(given, "--format") {
		if len(given) > 1 {
			return "", fmt.Errorf("--format and %s exclude each other: %%k are keys, %%h headers", given[1])
		}
		return f.template, nil
	}
	template := `%s\n`
	if f.keys {
		template = `%k\t` + template
	}
	if f.headers {
		template = `%h\t` + template
	}
	return template, nil
}
