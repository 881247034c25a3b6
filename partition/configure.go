package partition

import (
	"context"
	"fmt"

	"github.com/talos-log/talos/talos"
)

// configRequest gives the log another configuration.
type configRequest struct {
	config talos.TopicConfig
	done   chan error
}

// Configure makes the log follow another configuration of its topic. When it
// returns nil, no record is acknowledged under the old one anymore.
func (l *Log) Configure(ctx context.Context, config talos.TopicConfig) error {
	r := configRequest{config: config, done: make(chan error, 1)}
	if err := l.inbox.offerConfig(r); err != nil {
		return err
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("configure %v: %w", l.id, context.Cause(ctx))
	}
}

// handleConfigs takes over the configurations that wait, in order.
func (l *Log) handleConfigs() {
	for _, r := range l.inbox.takeConfigs() {
		if l.active != nil && l.topic.Acknowledges() != r.config.Acknowledges() {
			// A segment's appender has one durability for its life.
			l.resegment = true
		}
		l.setConfig(r.config)
		l.planRetention()
		l.configuring = append(l.configuring, r.done)
	}
}

// answerConfigs tells those who configured that it is done.
func (l *Log) answerConfigs(err error) {
	for _, done := range l.configuring {
		done <- err
	}
	l.configuring = nil
}

func (l *Log) setConfig(config talos.TopicConfig) {
	l.topic = config
	l.maxSize, l.maxAge = config.SegmentLimits()
	if most := l.traits.SegmentBytes; most > 0 {
		l.maxSize = min(l.maxSize, max(talos.MinSegmentBytes, most-segmentReserve))
	}
}
