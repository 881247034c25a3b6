package cli

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
)

const (
	// defaultServer is where talos dev and talos server listen unless told otherwise.
	defaultServer = "127.0.0.1:7070"
	// defaultData is where talos dev keeps its data unless told otherwise.
	defaultData = "./talos-data"
	serverEnv   = "TALOS_SERVER"
	// allPartitions stands for a --partition that was not given.
	allPartitions = -1
	// defaultTimeout bounds what a command asks of the node besides records.
	defaultTimeout = 10 * time.Second
)

// program is what the binary knows of itself: the name it was called by, and the
// version it was built as.
type program struct {
	name, version string
}

// settings are the flags that client commands share.
type settings struct {
	server  string
	timeout time.Duration
	secure  secureFlags
}

func newRoot(p program) *cobra.Command {
	s := &settings{}
	root := &cobra.Command{
		Use:   "talos",
		Short: "A partitioned log service whose nodes keep no state",
		Long: `Talos is a partitioned, replayable log service whose nodes keep no state.

Start a node with everything in it:    talos dev
Then, in another terminal:             talos topic create logs --partitions 4
                                       talos produce logs --file app.log
                                       talos consume logs --from earliest`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noSuchCommand,
		RunE:          showHelp,
	}
	root.SetUsageTemplate(usageTemplate())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{text: err.Error(), hint: seeHelp(cmd)}
	})
	root.AddGroup(&cobra.Group{ID: groupNode, Title: "Run a node:"}, &cobra.Group{ID: groupClient, Title: "Use it:"},
		&cobra.Group{ID: groupCluster, Title: "Run a cluster:"},
		&cobra.Group{ID: groupStore, Title: "Look at a store:"}, &cobra.Group{ID: groupMore, Title: "More:"})
	root.AddCommand(newDev(p), newServer(p), newConfig())
	addClients := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			s.addTo(cmd)
			root.AddCommand(cmd)
		}
	}
	addClients(groupClient,
		newTopic(s), newProduce(s), newConsume(s), newOffsets(s), newGroup(s), newRecords(s), newBench(s), newVersion(p, s))
	addClients(groupCluster, newCluster(s), newNode(s), newPartition(s), newRebalance(s))
	health := newHealth()
	health.GroupID = groupCluster
	segments := newSegment()
	segments.GroupID = groupStore
	completion := newCompletion()
	completion.GroupID = groupMore
	root.AddCommand(health, segments, completion, newDocs())
	root.SetHelpCommandGroupID(groupMore)
	addCompletions(root, s)
	return root
}

// addTo gives a client command, and all below it, the flags that all of them share.
func (s *settings) addTo(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&s.server, "server", "",
		"`HOST:PORT` of a node, or of several, separated by commas (default "+defaultServer+", or the environment's "+serverEnv+")")
	cmd.PersistentFlags().DurationVar(&s.timeout, "timeout", defaultTimeout,
		"wait up to `DURATION` for a node's answer")
	s.secure.add(cmd.PersistentFlags())
	s.explainAll(cmd)
}

const (
	groupNode    = "node"
	groupStore   = "store"
	groupClient  = "client"
	groupCluster = "cluster"
	groupMore    = "more"
)

// address is the node that the command talks to; named tells whether the user
// chose it.
func (s *settings) address() (address string, named bool) {
	if s.server != "" {
		return s.server, true
	}
	if env := os.Getenv(serverEnv); env != "" {
		return env, true
	}
	return defaultServer, false
}

// dial makes a client; it does not wait for the node.
func (s *settings) dial() (*sdk.Client, error) {
	address, _ := s.address()
	options, err := s.secure.options()
	if err != nil {
		return nil, err
	}
	client, err := sdk.Dial(address, options...)
	if bad := (*net.AddrError)(nil); errors.As(err, &bad) {
		err = &hintedError{error: err, hint: "give HOST:PORT of a node, or of several, separated by commas, with --server or " + serverEnv}
	}
	return client, err
}

// exactArgs demands one argument for each name.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		want := "no arguments"
		if len(names) > 0 {
			want = strings.Join(names, " and ")
		}
		return &usageError{
			text: fmt.Sprintf("%s wants %s; %s given", cmd.CommandPath(), want, count(len(args), "argument")),
			hint: seeHelp(cmd),
		}
	}
}

// noSuchCommand is the Args of a command that only groups others.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := &usageError{text: fmt.Sprintf("%s has no command %q", cmd.CommandPath(), args[0]), hint: seeHelp(cmd)}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err.hint = fmt.Sprintf("did you mean `%s %s`?", cmd.CommandPath(), near[0])
	}
	return err
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

func seeHelp(cmd *cobra.Command) string { return fmt.Sprintf("see `%s --help`", cmd.CommandPath()) }

func usageTemplate() string {
	return `Usage:
{{- if .Runnable}}{{if not .HasAvailableSubCommands}}
  {{.UseLine}}{{end}}{{end}}
{{- if .HasAvailableSubCommands}}
  {{.CommandPath}} <command>{{end}}
{{- if .HasExample}}

Examples:
{{.Example}}{{end}}
{{- if .HasAvailableSubCommands}}{{$all := .Commands}}{{if .Groups}}{{range $group := .Groups}}

{{.Title}}{{range $all}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{else}}

Commands:{{range $all}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
{{- if .HasAvailableInheritedFlags}}

Flags of all client commands:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}

Exit codes:
` + exitCodeList() + "\n"
}

func exitCodeList() string {
	var b strings.Builder
	for code, meaning := range exitCodes() {
		fmt.Fprintf(&b, "  %d  %s\n", code, meaning)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// partitionFlag adds --partition; check it with checkPartition.
func partitionFlag(cmd *cobra.Command, partition *int32, meaning string) {
	cmd.Flags().Int32VarP(partition, "partition", "p", 0, meaning)
}

// checkPartition sets partition to allPartitions if it was not given.
func checkPartition(cmd *cobra.Command, partition *int32) error {
	if !cmd.Flags().Changed("partition") {
		*partition = allPartitions
		return nil
	}
	if *partition < 0 {
		return &usageError{text: fmt.Sprintf("--partition %d: partitions count from 0", *partition), hint: seeHelp(cmd)}
	}
	return nil
}
