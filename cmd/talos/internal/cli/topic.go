package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

func newTopic(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topic",
		Short: "Create, alter, list, describe and delete topics",
		Args:  noSuchCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newTopicCreate(s), newTopicAlter(s), newTopicList(s), newTopicDescribe(s), newTopicDelete(s))
	return cmd
}

// topicJSON is a topic as -o json prints it.
type topicJSON struct {
	Name         string `json:"name" doc:"the topic's name"`
	ID           string `json:"id" doc:"32 hexadecimal digits, new at each creation of the name"`
	Partitions   int32  `json:"partitions" doc:"how many partitions it has"`
	SegmentBytes int64  `json:"segment_bytes" doc:"size in bytes at which a segment is rolled"`
	SegmentMS    int64  `json:"segment_ms" doc:"age in milliseconds at which a segment is rolled"`
	Durability   string `json:"durability" doc:"what an acknowledgement means: sync or flush"`
	RetentionMS  int64  `json:"retention_ms" doc:"how long records are kept, in milliseconds from when they were appended; 0: for ever"`
	RetentionB   int64  `json:"retention_bytes" doc:"how many bytes of each partition are kept; 0: all"`
}

func toTopicJSON(t talos.Topic) topicJSON {
	bytes, age := t.Config.SegmentLimits()
	return topicJSON{
		Name: string(t.Name), ID: t.ID.String(), Partitions: t.Partitions,
		SegmentBytes: bytes, SegmentMS: age.Milliseconds(), Durability: string(t.Config.Acknowledges()),
		RetentionMS: t.Config.RetentionMillis, RetentionB: t.Config.RetentionBytes,
	}
}

// withClient runs f with a client, under the timeout of the command line.
func (s *settings) withClient(cmd *cobra.Command, f func(context.Context, *sdk.Client) error) error {
	client, err := s.dial()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), s.timeout)
	defer cancel()
	err = f(ctx, client)
	if closeErr := client.Close(); err == nil && closeErr != nil {
		return fmt.Errorf("closing the client: %w", closeErr)
	}
	return err
}

// say writes words for people.
func say(cmd *cobra.Command, format string, args ...any) {
	// Words that can't be written are not worth failing for.
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
}
