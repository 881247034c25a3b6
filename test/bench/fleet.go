package bench

import (
	"context"
	"errors"
	"time"

	"github.com/talos-log/talos/internal/loadgen"
)

const (
	// maxClients is how many connections the producers of a load share.
	maxClients = 8
	// openWindowBytes bounds what one producer has in flight in an open loop.
	openWindowBytes = 16 << 20
	// recordOverhead is what a record costs a client beyond its value, at most.
	recordOverhead = 512
)

// load is what a fleet does. A rate of 0 is a closed loop.
type load struct {
	partitions, size  int32
	producers, window int
	rate              float64
	consumers         int
	// catchUp reads another topic meanwhile, at so many bytes a second.
	catchUp int64
}

// limit ends a leg.
type limit struct {
	duration time.Duration
	bytes    int64
}

// runner is one contender, ready for its legs.
type runner interface {
	leg(ctx context.Context, l limit) (outcome, error)
	close(ctx context.Context) error
}

// fleet is a runner: producers, and consumers at the tail, of one system.
type fleet struct {
	load    load
	system  system
	topic   topic
	closers closers
	crew    *loadgen.Fleet
	reader  *background // nil without catchUp
}

func openFleet(ctx context.Context, s system, l load, history int64) (*fleet, error) {
	f := &fleet{load: l, system: s}
	if err := f.open(ctx, history); err != nil {
		return nil, errors.Join(err, f.close(ctx))
	}
	return f, nil
}

func (f *fleet) open(ctx context.Context, history int64) (err error) {
	if f.topic, err = f.system.topic(ctx, f.load.partitions); err != nil {
		return err
	}
	f.crew = loadgen.NewFleet(int(f.load.size), clientTimeout, loadgen.NewPayload())
	consumers := min(f.load.consumers, int(f.load.partitions))
	for i := range consumers {
		r, end, err := f.topic.receiver(ctx, loadgen.Share(f.load.partitions, i, consumers))
		if err != nil {
			return err
		}
		f.closers.add(end)
		f.crew.AddTail(r)
	}
	window := f.load.window
	if f.load.rate > 0 {
		window = openWindowBytes / (int(f.load.size) + recordOverhead)
	}
	senders := make([]loadgen.Sender, min(maxClients, f.load.producers))
	for i := range senders {
		if senders[i], err = f.topic.sender(ctx); err != nil {
			return err
		}
	}
	for i := range f.load.producers {
		f.crew.AddProducer(senders[i%len(senders)], loadgen.Share(f.load.partitions, i, f.load.producers), window)
	}
	if f.load.catchUp > 0 {
		f.reader, err = openBackground(ctx, f.system, history, f.load.catchUp)
	}
	return err
}

// leg implements runner. A record that fails is an error: there is no figure then.
func (f *fleet) leg(ctx context.Context, l limit) (outcome, error) {
	if f.reader != nil {
		stop := f.reader.begin(ctx)
		defer stop()
	}
	o, err := costs(f.system.processes(), func() (outcome, error) {
		samples, err := f.crew.Leg(ctx, loadgen.Schedule{
			Start: time.Now(), Rate: f.load.rate, Duration: l.duration, Records: l.bytes / int64(f.load.size),
		})
		if err != nil {
			return outcome{}, err
		}
		o := outcome{produced: &samples[0]}
		if len(samples) > 1 {
			o.consumed = &samples[1]
		}
		for _, s := range samples {
			err = errors.Join(err, s.Err)
		}
		return o, err
	})
	if err == nil && f.reader != nil {
		o.own, err = f.reader.end()
	}
	return o, err
}

func (f *fleet) close(ctx context.Context) error {
	err := f.closers.close()
	if f.reader != nil {
		err = errors.Join(err, f.reader.close(ctx))
	}
	if f.topic != nil {
		err = errors.Join(err, f.topic.close(ctx))
	}
	return err
}
