package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/talos-log/talos/internal/loadgen"
	"github.com/talos-log/talos/talos"
)

// Run measures, and returns what it found. The first record that fails ends the
// measuring: there is a report then, and an error that says how many failed. Other
// errors are InvalidConfig, what the SDK returns, and that of ctx; there is no
// report with them, unless it is tidying up that failed.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	err = withTopic(ctx, cfg, func(topic talos.Topic) error {
		b := &bench{cfg: cfg}
		err := b.run(ctx, topic)
		if b.measured {
			report = cfg.report(topic)
			err = errors.Join(report.fill(b.legs, cfg.subjects()), err)
		}
		return err
	})
	if ctx.Err() != nil {
		err = errors.Join(&talos.Error{Kind: talos.KindOf(ctx.Err()), Op: "bench", Cause: ctx.Err()}, err)
	}
	return report, err
}

// bench is the legs that were run.
type bench struct {
	cfg        Config
	workload   workload
	yardsticks []yardstick
	legs       []leg
	measured   bool // as far as it goes: all legs, or up to one in which records failed
	steps      int  // that began
}

func (b *bench) run(ctx context.Context, topic talos.Topic) (err error) {
	fill := loadgen.NewPayload()
	b.yardsticks, err = openYardsticks(b.cfg, fill)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeYardsticks(b.yardsticks)) }()
	if b.workload, err = b.prepare(ctx, topic, fill); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.workload.close()) }()
	err = b.measureAll(ctx)
	b.measured = err == nil
	return err
}

// prepare opens the workload, and fills the topic if it needs that.
func (b *bench) prepare(ctx context.Context, topic talos.Topic, fill *loadgen.Payload) (workload, error) {
	b.step("preparing")
	if b.cfg.Workload == CatchUp {
		return openCatchUp(ctx, b.cfg, topic, fill)
	}
	opening, cancel := context.WithTimeout(ctx, b.cfg.Timeout)
	defer cancel()
	return openFleet(opening, b.cfg, topic, fill)
}

func (b *bench) measureAll(ctx context.Context) error {
	b.step("warming up")
	if b.cfg.Warmup > 0 {
		samples, err := b.workload.leg(ctx, b.cfg.Warmup)
		if err != nil {
			return err
		}
		for _, s := range samples {
			if s.Err != nil {
				return s.Err
			}
		}
	}
	for round := 1; round <= b.cfg.Rounds; round++ {
		for _, half := range order(round) {
			b.step(fmt.Sprintf("round %d, %s", round, half))
			l, err := b.leg(ctx)
			if err != nil {
				return err
			}
			l.round, l.half = round, half
			b.legs = append(b.legs, l)
			for _, s := range l.samples {
				if s.Failed > 0 {
					return nil
				}
			}
		}
	}
	return nil
}

// leg measures the workload, and then, while Talos rests, the yardsticks.
func (b *bench) leg(ctx context.Context) (leg, error) {
	samples, err := b.workload.leg(ctx, b.cfg.Duration)
	if err != nil {
		return leg{}, err
	}
	carried := samples[0].Bytes
	for _, y := range b.yardsticks {
		s, err := measure(ctx, y, carried, yardstickTime)
		if err != nil {
			return leg{}, fmt.Errorf("the yardstick %s: %w", y.name(), err)
		}
		samples = append(samples, s)
	}
	return leg{samples: samples}, nil
}

func (b *bench) step(name string) {
	b.steps++
	if b.cfg.Step != nil {
		// Preparing comes before the legs.
		b.cfg.Step(Step{Number: b.steps, Of: 1 + b.cfg.legs(), Name: name})
	}
}

// subjects are what is compared with the yardsticks.
func (c Config) subjects() []string {
	switch c.Workload {
	case Produce:
		return []string{loadgen.Produced}
	case Mixed:
		return []string{loadgen.Produced, loadgen.Consumed}
	default:
		return []string{loadgen.Consumed}
	}
}

// report has what was asked for, and nothing measured yet.
func (c Config) report(topic talos.Topic) *Report {
	r := &Report{
		Workload: string(c.Workload), Topic: string(topic.Name), Partitions: topic.Partitions,
		Size: c.Size, Codec: c.Codec.String(), Rounds: c.Rounds, Rate: c.Rate,
	}
	if c.Workload.writes() {
		r.Producers = c.Producers
	}
	if c.Workload.reads() {
		r.Consumers = min(c.Consumers, int(topic.Partitions))
	}
	if c.Workload.writes() && c.Rate == 0 {
		r.InFlight = c.InFlight
	}
	return r
}
