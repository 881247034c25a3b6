package bench

import (
	"context"
	"syscall"

	"github.com/talos-log/talos/internal/loadgen"
	"github.com/talos-log/talos/test/hdfsbench"
)

// javaStream is a runner: Hadoop's own client writes one file as fast as it can.
type javaStream struct {
	client *hdfsbench.Java
	piece  int64
}

func (j javaStream) leg(ctx context.Context, l limit) (outcome, error) {
	elapsed, err := j.client.Stream(ctx, l.bytes, j.piece)
	syscall.Sync() // as after other legs, see costs
	return outcome{produced: &loadgen.Sample{Name: loadgen.Produced, Bytes: l.bytes, Elapsed: elapsed}}, err
}

func (j javaStream) close(context.Context) error { return nil }

// javaAppends is a runner: Hadoop's own client flushes one append after the other
// to each of many files.
type javaAppends struct {
	client      *hdfsbench.Java
	files, size int
}

func (j javaAppends) leg(ctx context.Context, l limit) (outcome, error) {
	elapsed, each, err := j.client.Append(ctx, j.files, j.size, l.duration)
	syscall.Sync()
	s := &loadgen.Sample{
		Name: loadgen.Produced, Records: int64(len(each)), Bytes: int64(len(each) * j.size), Elapsed: elapsed,
		Latencies: loadgen.NewLatencies(),
	}
	for _, d := range each {
		s.Latencies.Record(d)
	}
	return outcome{produced: s}, err
}

func (j javaAppends) close(context.Context) error { return nil }
