package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/talos-log/talos/internal/loadgen"
)

// diskPiece is what is written between two fdatasync: about what a group commit of
// a busy partition carries.
const diskPiece = 1 << 20

// disk is a runner: the bandwidth of one file that is synced after each piece.
type disk struct{ folder string }

func (d disk) leg(ctx context.Context, l limit) (o outcome, err error) {
	f, err := os.Create(filepath.Join(d.folder, "disk"))
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	piece := make([]byte, diskPiece)
	loadgen.NewPayload().Fill(piece, 0)
	s := &loadgen.Sample{Name: loadgen.Produced, Latencies: loadgen.NewLatencies()}
	start := time.Now()
	for s.Elapsed < l.duration && s.Bytes < l.bytes && ctx.Err() == nil {
		if _, err := f.Write(piece); err != nil {
			return o, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return o, err
		}
		now := time.Since(start)
		s.Latencies.Record(now - s.Elapsed)
		s.Bytes += diskPiece
		s.Elapsed = now
	}
	return outcome{produced: s}, ctx.Err()
}

func (d disk) close(context.Context) error { return nil }
