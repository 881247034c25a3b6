package bench

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/talos-log/talos/internal/loadgen"
)

const (
	// historyPartitions and historySize are those of topics that are read from their
	// beginning, and historyConsumers share them.
	historyPartitions = 16
	historySize       = 1 << 10
	historyConsumers  = 2
	// leastHistory has a record in each partition, and more.
	leastHistory = 1 << 20
	// fillWindow is how many records each of the fillProducers has in flight.
	fillProducers = 4
	fillWindow    = 2048
)

// history is a topic that was filled once.
type history struct {
	topic   topic
	records int64
}

// fill makes a topic that holds so many bytes.
func fill(ctx context.Context, s system, bytes int64) (*history, error) {
	t, err := s.topic(ctx, historyPartitions)
	if err != nil {
		return nil, err
	}
	h := &history{topic: t, records: bytes / historySize}
	crew := loadgen.NewFleet(historySize, clientTimeout, loadgen.NewPayload())
	for i := range fillProducers {
		sender, err := t.sender(ctx)
		if err != nil {
			return nil, errors.Join(err, t.close(ctx))
		}
		crew.AddProducer(sender, loadgen.Share(historyPartitions, i, fillProducers), fillWindow)
	}
	samples, err := crew.Leg(ctx, loadgen.Schedule{Start: time.Now(), Records: h.records})
	if err == nil {
		err = samples[0].Err
	}
	if err != nil {
		return nil, errors.Join(err, t.close(ctx))
	}
	return h, nil
}

// read reads the history from its first record to its last with new consumers, at
// most pace bytes a second; 0 is as fast as it goes. It returns what they read.
func (h *history) read(ctx context.Context, pace int64) (read int64, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	start, all := time.Now(), atomic.Int64{}
	var readers errgroup.Group
	for i := range historyConsumers {
		r, end, err := h.topic.receiver(ctx, loadgen.Share(historyPartitions, i, historyConsumers))
		if err != nil {
			stop()
			return 0, errors.Join(err, readers.Wait())
		}
		readers.Go(func() (err error) {
			defer func() { err = errors.Join(err, end()) }()
			for {
				n := int64(0)
				err := r.Receive(ctx, func([]byte) { n++ })
				if all.Add(n) >= h.records {
					stop() // the others wait for nothing
				}
				if ctx.Err() != nil {
					return nil
				}
				if err != nil {
					return err
				}
				if pace > 0 {
					due := start.Add(time.Duration(float64(all.Load()*historySize) / float64(pace) * float64(time.Second)))
					pass(ctx, time.Until(due))
				}
			}
		})
	}
	err = readers.Wait()
	return all.Load(), err
}

// pass waits, at most until ctx ends.
func pass(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// catchUp is a runner: consumers that read a history as fast as they can.
type catchUp struct {
	system  system
	history *history
}

func openCatchUp(ctx context.Context, s system, bytes int64) (*catchUp, error) {
	h, err := fill(ctx, s, bytes)
	if err != nil {
		return nil, err
	}
	return &catchUp{system: s, history: h}, nil
}

func (c *catchUp) leg(ctx context.Context, _ limit) (outcome, error) {
	return costs(c.system.processes(), func() (outcome, error) {
		start := time.Now()
		n, err := c.history.read(ctx, 0)
		if err == nil && n < c.history.records {
			err = ctx.Err() // it was cut off: that is no figure
		}
		s := &loadgen.Sample{Name: loadgen.Consumed, Records: n, Bytes: n * historySize, Elapsed: time.Since(start)}
		return outcome{consumed: s}, err
	})
}

func (c *catchUp) close(ctx context.Context) error { return c.history.topic.close(ctx) }

// background reads a history again and again while a fleet works.
type background struct {
	history *history
	pace    int64

	stop    context.CancelFunc
	running sync.WaitGroup
	read    int64
	took    time.Duration
	err     error
}

func openBackground(ctx context.Context, s system, bytes, pace int64) (*background, error) {
	h, err := fill(ctx, s, bytes)
	if err != nil {
		return nil, err
	}
	return &background{history: h, pace: pace}, nil
}

// begin starts reading; end or what it returns ends it.
func (b *background) begin(ctx context.Context) (stop func()) {
	ctx, b.stop = context.WithCancel(ctx)
	b.read, b.err = 0, nil
	start := time.Now()
	b.running.Go(func() {
		for ctx.Err() == nil && b.err == nil {
			n, err := b.history.read(ctx, b.pace)
			b.read += n
			if ctx.Err() == nil {
				b.err = err
			}
		}
		b.took = time.Since(start)
	})
	return func() {
		b.stop()
		b.running.Wait()
	}
}

// end stops reading, and tells how much was read.
func (b *background) end() (map[string]float64, error) {
	b.stop()
	b.running.Wait()
	return map[string]float64{"catch_up_mib_per_s": float64(b.read*historySize) / (1 << 20) / b.took.Seconds()}, b.err
}

func (b *background) close(ctx context.Context) error { return b.history.topic.close(ctx) }
