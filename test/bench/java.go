package bench

import (
	"context"
	"time"

	"github.com/talos-log/talos/internal/loadgen"
	"github.com/talos-log/talos/test/hdfsbench"
)

// javaStream is a runner: Hadoop's own client writes one file as fast as it can.
type javaStream struct{ client *hdfsbench.Java }

// maxStream keeps a leg's file within one block.
const maxStream = 100 << 20

func (j javaStream) leg(ctx context.Context, l limit) (outcome, error) {
	n := min(l.bytes, maxStream)
	elapsed, err := j.client.Stream(ctx, n)
	return outcome{produced: &loadgen.Sample{Name: loadgen.Produced, Bytes: n, Elapsed: elapsed}}, err
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

// warmJava is how long a JVM appends before anything is counted, so that it has
// compiled what it runs most.
const warmJava = 8 * time.Second
