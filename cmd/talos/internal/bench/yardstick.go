package bench

import (
	"context"
	"errors"
	"time"

	"github.com/talos-log/talos/internal/loadgen"
)

// Names of the yardsticks.
const (
	diskName      = "fdatasync"
	roundTripName = "grpc"
	fetchName     = "grpc_fetch"
)

// yardstickTime bounds how long a yardstick is measured in each leg: as many
// fdatasyncs as a log with group commit has records would take minutes.
const yardstickTime = 2 * time.Second

// yardstick is an operation of the machine, without Talos. A caller does one
// after the other.
type yardstick interface {
	name() string
	// begin prepares for the operations of one leg.
	begin() error
	// do does one of it, and returns how many bytes of records it carried.
	do(ctx context.Context, n int64) (int64, error)
	// end undoes begin.
	end() error
	close() error
}

// openYardsticks opens those that a workload is compared with.
func openYardsticks(cfg Config, fill *loadgen.Payload) ([]yardstick, error) {
	trip, err := openRoundTrip(cfg, fill)
	if err != nil {
		return nil, err
	}
	if cfg.Workload == CatchUp {
		return []yardstick{trip}, nil
	}
	return []yardstick{newDisk(cfg.YardstickDir, cfg.Size, fill), trip}, nil
}

func closeYardsticks(all []yardstick) error {
	var errs []error
	for _, y := range all {
		errs = append(errs, y.close())
	}
	return errors.Join(errs...)
}

// measure does it until it has carried so many bytes, or the time is up; once at
// least.
func measure(ctx context.Context, y yardstick, bytes int64, limit time.Duration) (s loadgen.Sample, err error) {
	if err := y.begin(); err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, y.end()) }()
	s = loadgen.Sample{Name: y.name(), Latencies: loadgen.NewLatencies()}
	start := time.Now()
	for last := start; s.Records == 0 || s.Bytes < bytes && last.Sub(start) < limit; {
		size, err := y.do(ctx, s.Records)
		if err != nil {
			return s, err
		}
		now := time.Now()
		s.Latencies.Record(now.Sub(last))
		last = now
		s.Records++
		s.Bytes += size
		s.Elapsed = now.Sub(start)
	}
	return s, nil
}
