package hdfsbench

import (
	"context"
	"time"

	"github.com/talos-log/talos/test/hadoop"
)

// Java is Hadoop's own client over a running HDFS, for programs that compare other
// things with it than the store. Its methods are called one at a time.
type Java struct{ peer *peer }

// OpenJava starts the JVM, with its files in a folder. The caller must Close it.
func OpenJava(c *hadoop.Cluster, folder string) (*Java, error) {
	p, err := openPeer(c, folder)
	if err != nil {
		return nil, err
	}
	return &Java{p}, nil
}

// Append appends size bytes and flushes them, again and again, to each of some
// files at once. It returns the elapsed time and what each append took.
func (j *Java) Append(ctx context.Context, files, size int, lasts time.Duration) (time.Duration, []time.Duration, error) {
	o, err := j.peer.append(ctx, load{files: files, size: size, lasts: lasts})
	return o.elapsed, o.each, err
}

// Stream writes so many bytes to one file, in pieces of this size, and flushes them in
// the end.
func (j *Java) Stream(ctx context.Context, bytes, piece int64) (time.Duration, error) {
	o, err := j.peer.streamIn(ctx, bytes, piece)
	return o.elapsed, err
}

// Close ends the JVM.
func (j *Java) Close() error { return j.peer.close() }
