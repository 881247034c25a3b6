package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

const (
	// completionTimeout is how long a shell's user waits for a node to name topics.
	completionTimeout = time.Second
	// maxCompletions bounds what a shell is offered.
	maxCompletions = 1000
)

// completeTopic offers the topics of the node, nothing if it does not answer.
func (s *settings) completeTopic(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const done = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 {
		return nil, done
	}
	topics, err := s.topicsSoon(cmd)
	if err != nil {
		return nil, done
	}
	var names []cobra.Completion
	for _, t := range topics {
		if strings.HasPrefix(string(t.Name), prefix) && len(names) < maxCompletions {
			names = append(names, cobra.CompletionWithDesc(string(t.Name), count(t.Partitions, "partition")))
		}
	}
	return names, done
}

// completePartition offers the partitions of the topic that is named already.
func (s *settings) completePartition(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const done = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	if len(args) != 1 {
		return nil, done
	}
	topics, err := s.topicsSoon(cmd)
	if err != nil {
		return nil, done
	}
	var numbers []cobra.Completion
	for _, t := range topics {
		for p := int32(0); t.Name == talos.TopicName(args[0]) && p < t.Partitions && len(numbers) < maxCompletions; p++ {
			if text := strconv.Itoa(int(p)); strings.HasPrefix(text, prefix) {
				numbers = append(numbers, text)
			}
		}
	}
	return numbers, done
}

// topicsSoon lists the topics if the node answers soon.
func (s *settings) topicsSoon(cmd *cobra.Command) ([]talos.Topic, error) {
	return soon(cmd, s, (*sdk.Client).Topics)
}

// soon asks a node something if it answers soon.
func soon[T any](cmd *cobra.Command, s *settings, ask func(*sdk.Client, context.Context) (T, error)) (T, error) {
	client, err := s.dial()
	if err != nil {
		var none T
		return none, err
	}
	defer client.Close() //nolint:errcheck // it was only read
	// A shell's completion has no context of its own.
	parent := cmd.Context()
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, completionTimeout)
	defer cancel()
	return ask(client, ctx)
}
