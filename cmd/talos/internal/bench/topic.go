package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/talos-log/talos/talos"
)

// withTopic calls f with the topic that cfg names, or with a new one, which it
// deletes afterwards, whatever became of f.
func withTopic(ctx context.Context, cfg Config, f func(talos.Topic) error) (err error) {
	var opened closers
	client, err := cfg.dial(&opened)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.close()) }()
	asking, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	if cfg.Topic != "" {
		found, err := client.Describe(asking, cfg.Topic)
		if err != nil {
			return err
		}
		return f(found.Topic)
	}
	topic, err := client.CreateTopic(asking, newTopicName(), cfg.Partitions, talos.TopicConfig{})
	if err != nil {
		return err
	}
	defer func() {
		// Also when the user interrupts.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Timeout)
		defer cancel()
		if deleteErr := client.DeleteTopic(ctx, topic.Name); deleteErr != nil {
			err = errors.Join(err, fmt.Errorf("topic %s is left behind: %w", topic.Name, deleteErr))
		}
	}()
	return f(topic)
}

// newTopicName is one that nobody else has.
func newTopicName() talos.TopicName {
	var id [8]byte
	_, _ = rand.Read(id[:]) // it never fails
	return talos.TopicName("bench-" + hex.EncodeToString(id[:]))
}
