package sdk

import (
	"context"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc"
)

const (
	// fetchWait is how long a node holds a fetch that finds nothing.
	fetchWait = 5 * time.Second
	// fetchTurn is the same where partitions take turns because there are too many
	// for one request.
	fetchTurn = 100 * time.Millisecond
	// fetchPatience is how much longer than that an answer may take.
	fetchPatience = 30 * time.Second
)

// fetch asks the node once, or waits because it is too early to. It returns an
// error that Poll should return.
func (c *Consumer) fetch(ctx context.Context) error {
	due, wait := c.due(time.Now())
	if len(due) == 0 {
		if !pause(ctx, wait) {
			return c.ended(ctx, nil)
		}
		return nil
	}
	answer, err := c.ask(ctx, due, wait)
	if err != nil {
		if ctx.Err() == nil && talos.Retryable(err) {
			c.failures++
			if c.failures == 1 {
				c.client.logger.Warn("fetch failed, it will be tried again", "topic", c.topic.Name, "error", err)
			}
			if pause(ctx, backoffAfter(c.failures)) {
				return nil
			}
		}
		if ctx.Err() != nil {
			return c.ended(ctx, err)
		}
		return err
	}
	if c.failures > 0 {
		c.client.logger.Info("fetch succeeded again", "topic", c.topic.Name)
		c.failures = 0
	}
	return c.sort(due, answer)
}

// ended says why ctx of a Poll ended: its caller's, or the consumer's own.
func (c *Consumer) ended(ctx context.Context, last error) error {
	if c.ctx.Err() != nil {
		return closedError("sdk.Poll")
	}
	if talos.KindOf(last) == talos.KindOf(ctx.Err()) {
		last = nil // it is the same end
	}
	return endError(ctx, "sdk.Poll", string(c.topic.Name), last)
}

// due returns the sources to ask for now, the one whose turn it is first, and how
// long the node may wait; or none, and how long to wait for one.
func (c *Consumer) due(now time.Time) ([]*source, time.Duration) {
	wait := fetchWait
	if len(c.sources) > talos.MaxRequestPartitions {
		wait = fetchTurn
	}
	var due []*source
	count := len(c.sources)
	for i := range count {
		s := c.sources[(c.turn+i)%count]
		if now.Before(s.notBefore) {
			wait = min(wait, s.notBefore.Sub(now))
		} else if len(due) < talos.MaxRequestPartitions {
			due = append(due, s)
		}
	}
	if count > talos.MaxRequestPartitions {
		c.turn = (c.turn + talos.MaxRequestPartitions) % count
	} else if count > 0 {
		c.turn = (c.turn + 1) % count
	}
	return due, wait
}

func (c *Consumer) ask(ctx context.Context, due []*source, wait time.Duration) (*talosv1.FetchResponse, error) {
	request := &talosv1.FetchRequest{
		MaxBytes: int32(c.cfg.pollBytes), MinBytes: 1,
		// Rounded up: 0 would mean the node's default.
		MaxWaitMs: int32((wait + time.Millisecond - 1) / time.Millisecond),
	}
	for _, s := range due {
		request.Partitions = append(request.Partitions, &talosv1.FetchPartition{
			TopicId: c.topic.ID[:], Partition: s.partition, Offset: int64(s.position), Epoch: int32(s.epoch),
		})
	}
	limited, cancel := context.WithTimeout(ctx, wait+fetchPatience)
	defer cancel()
	answer, err := c.client.log.Fetch(limited, request, grpc.MaxCallRecvMsgSize(c.limits.ResponseBytes()))
	if err != nil {
		return nil, c.client.callError(ctx, "sdk.Poll", string(c.topic.Name), err)
	}
	if len(answer.GetPartitions()) != len(due) {
		return nil, malformed("sdk.Poll", string(c.topic.Name))
	}
	return answer, nil
}

// sort gives each source its part of the answer. It returns the first error that
// does not pass by itself.
func (c *Consumer) sort(due []*source, answer *talosv1.FetchResponse) error {
	var first error
	for i, f := range answer.GetPartitions() {
		if err := c.receive(due[i], f); err != nil && first == nil {
			first = &PartitionError{Partition: due[i].partition, Err: err}
		}
	}
	return first
}

func (c *Consumer) receive(s *source, f *talosv1.FetchedPartition) error {
	name := subject(c.topic.Name, s.partition)
	if f.GetPartition() != s.partition {
		return malformed("sdk.Poll", name)
	}
	s.epoch = max(s.epoch, talos.Epoch(f.GetEpoch()))
	if w := f.GetError(); w != nil {
		err := wireError("sdk.Poll", name, w)
		s.epoch = max(s.epoch, talos.Epoch(w.GetOwnerEpoch()))
		if !talos.Retryable(err) {
			return err
		}
		s.notBefore = time.Now().Add(backoffAfter(s.failures))
		s.failures++
		return nil
	}
	s.failures, s.fetched = 0, f.GetBatches()
	return nil
}
