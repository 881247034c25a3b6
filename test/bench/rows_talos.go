package bench

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/talos-log/talos/internal/loadgen"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/process"
)

// The questions that only Talos is asked.

func manyPartitions(l *lab) []workload {
	count := l.plan.Partitions
	each := load{partitions: count, size: 100, producers: 4, rate: float64(count)}
	return []workload{
		{
			name: "idle",
			contenders: []contender{{ours, func(ctx context.Context) (runner, error) {
				s, err := l.local(ctx)
				if err != nil {
					return nil, err
				}
				return openIdle(ctx, s, count)
			}}},
			figures: []figure{
				{name: "% of a core", value: own("core_percent"), of: ours, target: 2},
				{name: "memory, MB", value: own("memory_mb"), of: ours, target: 300},
			},
		},
		{
			name: "one record a second each", contenders: []contender{fleetOf(l, ours, l.local, each)},
			figures: []figure{
				{name: "p99, ms", value: produceLatency(0.99), of: ours},
				{name: "longest, ms", value: produceLatency(1), of: ours},
			},
		},
	}
}

// idle is a runner: partitions that hold a record each, and get no more.
type idle struct {
	system system
	topic  topic
}

func openIdle(ctx context.Context, s system, partitions int32) (*idle, error) {
	t, err := s.topic(ctx, partitions)
	if err != nil {
		return nil, err
	}
	i := &idle{s, t}
	sender, err := t.sender(ctx)
	if err != nil {
		return nil, errors.Join(err, i.close(ctx))
	}
	crew := loadgen.NewFleet(historySize, clientTimeout, loadgen.NewPayload())
	crew.AddProducer(sender, loadgen.Share(partitions, 0, 1), 256)
	samples, err := crew.Leg(ctx, loadgen.Schedule{Start: time.Now(), Records: int64(partitions)})
	if err == nil {
		err = samples[0].Err
	}
	if err != nil {
		return nil, errors.Join(err, i.close(ctx))
	}
	return i, nil
}

func (i *idle) leg(ctx context.Context, l limit) (outcome, error) {
	o, err := costs(i.system.processes(), func() (outcome, error) {
		pass(ctx, l.duration)
		return outcome{}, ctx.Err()
	})
	o.own = map[string]float64{
		"core_percent": 100 * o.cpu.Seconds() / l.duration.Seconds(), "memory_mb": float64(o.peak) / 1e6,
	}
	return o, err
}

func (i *idle) close(ctx context.Context) error { return i.topic.close(ctx) }

func objects(l *lab) []workload {
	all := []workload{{name: "S3 full speed"}, {name: "S3 5,000 per s"}}
	named := func(interval string) string { return ours + ", S3 every " + interval }
	for _, interval := range []string{"0", "50ms", "250ms"} {
		for i, of := range []load{busy(), paced(5000)} {
			all[i].contenders = append(all[i].contenders, contender{named(interval), func(ctx context.Context) (runner, error) {
				s, err := l.onS3(ctx, interval)
				if err != nil {
					return nil, err
				}
				f, err := openFleet(ctx, s, of, 0)
				return &putting{fleet: f, pages: s.pages}, err
			}})
		}
	}
	for _, interval := range []string{"50ms", "250ms"} {
		against := func(name string, value func(outcome) float64) figure {
			return figure{name: name, value: value, of: named(interval), to: named("0")}
		}
		all[0].figures = append(all[0].figures, against("MiB/s", byteRate), against("PUTs for a MiB", own("puts_per_mib")))
		all[1].figures = append(all[1].figures, against("p99", produceLatency(0.99)), against("PUTs for a MiB", own("puts_per_mib")))
	}
	return all
}

// putSeries are the node's requests that write an object.
const putSeries = `talos_s3_requests_total{method="PUT"`

// putting is a fleet whose node's requests to the store are counted.
type putting struct {
	*fleet
	pages string
}

func (p *putting) leg(ctx context.Context, l limit) (outcome, error) {
	before, _, err := process.SumMetric(ctx, p.pages, putSeries)
	if err != nil {
		return outcome{}, err
	}
	o, err := p.fleet.leg(ctx, l)
	if err != nil {
		return o, err
	}
	after, _, err := process.SumMetric(ctx, p.pages, putSeries)
	o.own = map[string]float64{"puts_per_mib": (after - before) / (float64(o.produced.Bytes) / (1 << 20))}
	return o, err
}

func memorySoak(l *lab) []workload {
	return []workload{{
		name: "memory", once: true,
		contenders: []contender{{ours, func(ctx context.Context) (runner, error) {
			n, err := l.node(ctx, "")
			if err != nil {
				return nil, err
			}
			return openSoak(ctx, talosSystem{talosNode: n, durability: talos.Sync, retention: 64 << 20}, l.plan.Soak)
		}}},
		figures: []figure{
			{name: "memory at the end / after a tenth of the time", value: own("growth"), of: ours, target: 1.1},
			{name: "peak, MB", value: own("peak_mb"), of: ours},
		},
	}}
}

// soak is a runner: producers at full speed for a long time, and consumers that
// read a little of it.
type soak struct {
	system system
	topic  topic
	crew   *loadgen.Fleet
	lasts  time.Duration
	slow   []loadgen.Receiver
	ends   closers
}

// slowPause is how long a slow consumer does nothing after each answer.
const slowPause = 500 * time.Millisecond

func openSoak(ctx context.Context, s system, lasts time.Duration) (*soak, error) {
	of := busy()
	t, err := s.topic(ctx, of.partitions)
	if err != nil {
		return nil, err
	}
	k := &soak{system: s, topic: t, lasts: lasts, crew: loadgen.NewFleet(int(of.size), clientTimeout, loadgen.NewPayload())}
	for i := range of.producers {
		sender, err := t.sender(ctx)
		if err != nil {
			return nil, errors.Join(err, k.close(ctx))
		}
		k.crew.AddProducer(sender, loadgen.Share(of.partitions, i, of.producers), of.window)
		r, end, err := t.receiver(ctx, loadgen.Share(of.partitions, i, of.producers))
		if err != nil {
			return nil, errors.Join(err, k.close(ctx))
		}
		k.slow = append(k.slow, r)
		k.ends.add(end)
	}
	return k, nil
}

// leg runs it once for all of its time, whatever the plan's legs are.
func (k *soak) leg(ctx context.Context, _ limit) (outcome, error) {
	reading, stop := context.WithCancel(ctx)
	readers := make(chan error, len(k.slow))
	for _, r := range k.slow {
		go func() {
			for reading.Err() == nil {
				if err := r.Receive(reading, func([]byte) {}); err != nil && reading.Err() == nil {
					readers <- err
					return
				}
				pass(reading, slowPause)
			}
			readers <- nil
		}()
	}
	o := outcome{own: map[string]float64{}}
	sampled := make(chan error, 1)
	go func() { sampled <- k.watch(reading, o.own) }()
	samples, err := k.crew.Leg(ctx, loadgen.Schedule{Start: time.Now(), Duration: k.lasts, Records: 1 << 50})
	stop()
	err = errors.Join(err, <-sampled)
	for range k.slow {
		err = errors.Join(err, <-readers)
	}
	if err == nil {
		o.produced, err = &samples[0], samples[0].Err
	}
	syscall.Sync()
	return o, err
}

// watch looks at the memory: the mean over the second tenth of the time, and over
// the last one.
func (k *soak) watch(ctx context.Context, found map[string]float64) error {
	const tenths, looks = 10, 20
	var means [tenths]float64
	peak := int64(0)
	for i := range tenths * looks {
		pass(ctx, k.lasts/(tenths*looks))
		held, err := process.ResidentMemory(k.system.processes()...)
		if err != nil {
			return fmt.Errorf("look at the memory: %w", err)
		}
		peak = max(peak, held)
		means[i/looks] += float64(held) / looks
	}
	found["growth"], found["peak_mb"] = means[tenths-1]/means[1], float64(peak)/1e6
	return nil
}

func (k *soak) close(ctx context.Context) error {
	return errors.Join(k.ends.close(), k.topic.close(ctx))
}
