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

// fetchLink is what a consumer knows of one address.
type fetchLink struct {
	address string
	// cancel ends the fetch that is under way; nil if none is.
	cancel context.CancelFunc
	// After a failure, nothing is fetched before notBefore.
	notBefore time.Time
	failures  int // in a row
	turn      int // as Consumer.turn, among the link's sources
}

// asked is one partition of a fetch, as it was then.
type asked struct {
	source   *source
	position talos.Offset
	seeks    int
}

// awaited tells whether the answer is of use: nobody sought, and no other fetch was
// faster.
func (a asked) awaited(address string) bool {
	s := a.source
	return s.address == address && s.seeks == a.seeks && s.position == a.position && len(s.fetched) == 0
}

// launch begins what can be begun now, and returns after how long there may be
// more.
func (c *Consumer) launch(now time.Time) time.Duration {
	if !now.Before(c.nextLook) {
		c.look(now)
	}
	wait := c.nextLook.Sub(now)
	own := make(map[string][]*source)
	var addresses []string
	for _, s := range c.sources {
		if s.address == "" || s.missing != nil {
			c.look(now)
			continue
		}
		if own[s.address] == nil {
			addresses = append(addresses, s.address)
		}
		own[s.address] = append(own[s.address], s)
	}
	if len(c.sources) > 0 {
		c.turn = (c.turn + 1) % len(c.sources)
	}
	for address, k := range c.links {
		if own[address] == nil {
			if k.cancel != nil {
				k.cancel()
			}
			delete(c.links, address)
		}
	}
	for _, address := range addresses {
		k := c.links[address]
		if k == nil {
			k = &fetchLink{address: address}
			c.links[address] = k
		}
		switch {
		case k.cancel != nil:
		case now.Before(k.notBefore):
			wait = min(wait, k.notBefore.Sub(now))
		default:
			if later := c.fetch(k, own[address], now); later > 0 {
				wait = min(wait, later)
			}
		}
	}
	return max(0, wait)
}

// fetch asks a node, or returns after how long to ask it.
func (c *Consumer) fetch(k *fetchLink, own []*source, now time.Time) time.Duration {
	due, wait := k.due(own, now)
	if len(due) == 0 {
		return wait
	}
	request := &talosv1.FetchRequest{
		MaxBytes: int32(c.cfg.pollBytes), MinBytes: 1,
		// Rounded up: 0 would mean the node's default.
		MaxWaitMs: int32((wait + time.Millisecond - 1) / time.Millisecond),
	}
	partitions := make([]asked, 0, len(due))
	for _, s := range due {
		partitions = append(partitions, asked{s, s.position, s.seeks})
		request.Partitions = append(request.Partitions, &talosv1.FetchPartition{
			TopicId: c.topic.ID[:], Partition: s.partition, Offset: int64(s.position), Epoch: int32(s.epoch),
		})
	}
	ctx, cancel := context.WithTimeout(c.ctx, wait+fetchPatience)
	k.cancel = cancel
	c.background(func() {
		defer cancel()
		var answer *talosv1.FetchResponse
		_, err := c.client.oneNode(ctx, k.address, call{op: "sdk.Poll", subject: string(c.topic.Name)},
			func(ctx context.Context, p *peer) (err error) {
				answer, err = p.log.Fetch(ctx, request, grpc.MaxCallRecvMsgSize(c.limits.ResponseBytes()))
				return err
			})
		if err == nil && len(answer.GetPartitions()) != len(partitions) {
			err = malformed("sdk.Poll", string(c.topic.Name))
		}
		c.arrive(func() error {
			canceled := ctx.Err() != nil && talos.KindOf(err) == talos.Canceled
			k.cancel = nil
			if canceled {
				return nil // by Seek, or because nothing is read there any more
			}
			return c.fetched(k, partitions, answer, err)
		})
	})
	return 0
}

// arrive hands over what Poll has to do.
func (c *Consumer) arrive(f func() error) {
	select {
	case c.arrivals <- f:
	case <-c.ctx.Done():
	}
}

// due returns the sources to ask for now, the one whose turn it is first, and how
// long the node may wait; or none, and how long to wait for one.
func (k *fetchLink) due(own []*source, now time.Time) ([]*source, time.Duration) {
	wait, count := fetchWait, len(own)
	if count > talos.MaxRequestPartitions {
		wait = fetchTurn
	}
	var due []*source
	for i := range count {
		s := own[(k.turn+i)%count]
		if now.Before(s.notBefore) {
			wait = min(wait, s.notBefore.Sub(now))
		} else if len(due) < talos.MaxRequestPartitions {
			due = append(due, s)
		}
	}
	if count > talos.MaxRequestPartitions {
		k.turn = (k.turn + talos.MaxRequestPartitions) % count
	} else {
		k.turn = (k.turn + 1) % count
	}
	return due, wait
}

// fetched takes an answer, or why there is none. It returns the first error that
// does not pass by itself.
func (c *Consumer) fetched(k *fetchLink, partitions []asked, answer *talosv1.FetchResponse, err error) error {
	now := time.Now()
	if err != nil {
		for _, p := range partitions {
			p.source.settled = false
			p.source.later(now) // also where it goes elsewhere: two nodes may name each other
			if to, ok := follow(err, p.source.epoch); ok && p.source.address == k.address {
				p.source.address = to
			}
		}
		if !talos.Retryable(err) {
			return err
		}
		if k.failures == 0 {
			c.client.cfg.logger.Warn("fetch failed, it will be tried again", "topic", c.topic.Name, "address", k.address, "error", err)
		}
		c.lastErr = err
		k.notBefore = now.Add(backoffAfter(k.failures))
		k.failures++
		c.look(now)
		return nil
	}
	if k.failures > 0 {
		c.client.cfg.logger.Info("fetch succeeded again", "topic", c.topic.Name, "address", k.address)
	}
	k.failures, c.lastErr = 0, nil
	var first error
	for i, f := range answer.GetPartitions() {
		s := partitions[i].source
		if !partitions[i].awaited(k.address) {
			continue
		}
		if err := c.receive(s, f, now); err != nil && first == nil {
			first = &PartitionError{Partition: s.partition, Err: err}
		}
	}
	return first
}

func (c *Consumer) receive(s *source, f *talosv1.FetchedPartition, now time.Time) error {
	name := subject(c.topic.Name, s.partition)
	if f.GetPartition() != s.partition {
		return malformed("sdk.Poll", name)
	}
	c.sawEpoch(s, talos.Epoch(f.GetEpoch()))
	w := f.GetError()
	if w == nil {
		s.settled, s.fetched = true, f.GetBatches()
		if len(s.fetched) == 0 {
			s.failures = 0 // else once a batch was taken apart
		}
		s.added = s.added && len(s.fetched) == 0
		c.looks = 0
		return nil
	}
	err, seen := wireError("sdk.Poll", name, w), s.epoch
	c.sawEpoch(s, ownerOf(err).Epoch)
	s.settled = false
	switch kind := talos.KindOf(err); {
	case kind == talos.NotOwner:
		if to, ok := follow(err, seen); ok && to != s.address {
			s.address = to
			if s.failures == 0 {
				s.failures++ // at once, but only once: nodes may know different owners
				return nil
			}
		} else {
			c.look(now)
		}
	case kind == talos.UnknownTopic, kind == talos.UnknownPartition:
		s.missing = err
		c.look(now)
	case kind == talos.OffsetOutOfRange:
		if err = c.outOfRange(s, err); err == nil {
			return nil
		}
		s.later(now)
		return err
	case !talos.Retryable(err):
		s.later(now)
		return err
	}
	s.later(now)
	return nil
}

func (c *Consumer) sawEpoch(s *source, epoch talos.Epoch) {
	if epoch > s.epoch {
		s.epoch = epoch
		c.client.epochs.saw(c.topic.ID, s.partition, epoch)
	}
}

// later leaves a source alone for a while after a failure, also one that Poll
// returns: a loop may go on whatever the error.
func (s *source) later(now time.Time) {
	s.notBefore = now.Add(backoffAfter(s.failures))
	s.failures++
}
