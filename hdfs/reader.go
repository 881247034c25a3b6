package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/talos-log/talos/hdfs/internal/datanode"
	"github.com/talos-log/talos/hdfs/internal/wire"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// reader reads one segment. What it knows of the file it asks for again when that
// does not do: when no replica can be read, since blocks move and a recovery ends
// them, and when more is wanted of an open one than it had.
type reader struct {
	store *Store
	path  string

	mu   sync.Mutex // guards seen
	seen extent
}

// extent is where a file's bytes are.
type extent struct {
	// block is the file's only one; nil before it has one.
	block *wire.LocatedBlock
	// size is the length of a file whose end is known, and else the length up to
	// which it can be read at least.
	size int64
	// ended is set if size is the file's end at this time; final if it stays that.
	ended, final bool
}

// openReader finds a file's block. It fails with namenode.ErrNotFound.
func openReader(ctx context.Context, s *Store, path string) (storage.Reader, error) {
	r := &reader{store: s, path: path}
	if _, err := r.look(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// ReadAt implements storage.Reader.
func (r *reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if off < 0 {
		return 0, fmt.Errorf("hdfs: read %s: negative offset %d", r.path, off)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.readAt(ctx, r.last(), p, off)
	var none *datanode.ReplicasError
	if errors.As(err, &none) {
		var now extent
		if now, err = r.look(ctx); err == nil {
			n, err = r.readAt(ctx, now, p, off)
		}
	}
	switch {
	case err != nil:
		return 0, r.explain("read", off, err)
	case n < len(p):
		return n, io.EOF
	}
	return n, nil
}

// readAt reads as much of p as the segment has.
func (r *reader) readAt(ctx context.Context, e extent, p []byte, off int64) (int, error) {
	if !e.ended && off+int64(len(p)) > e.size {
		var err error
		if e, err = r.measure(ctx); err != nil {
			return 0, err
		}
	}
	n := int(min(max(e.size-off, 0), int64(len(p))))
	if n == 0 {
		return 0, nil
	}
	return n, r.store.reads.ReadAt(ctx, e.block, p[:n], off)
}

// Size implements storage.Reader. That of an open segment is asked of its
// DataNodes: the NameNode leaves out the block that is being written.
func (r *reader) Size(ctx context.Context) (int64, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if e := r.last(); e.final {
		return e.size, nil
	}
	e, err := r.measure(ctx)
	if err != nil {
		return 0, r.explain("measure", 0, err)
	}
	return e.size, nil
}

// Close implements storage.Reader. The connections are the store's.
func (r *reader) Close() error { return nil }

// measure finds the file's end as of now.
func (r *reader) measure(ctx context.Context) (extent, error) {
	// Another look: a recovery may close the file while its DataNodes are asked.
	const looks = 2
	var unmeasured error
	for range looks {
		e, err := r.look(ctx)
		if err != nil || e.ended {
			return e, err
		}
		length, err := r.store.reads.VisibleLength(ctx, e.block)
		switch {
		case err == nil:
			e.size, e.ended = length, true
			r.remember(extent{block: e.block, size: length})
			return e, nil
		case ctx.Err() != nil:
			return extent{}, err
		case errors.Is(err, datanode.ErrMissing) && e.size == 0:
			// Nobody has connected to the DataNodes of the block yet.
			e.ended = true
			return e, nil
		}
		unmeasured = err
	}
	// What the last fsync told the NameNode may be less than was acknowledged: it
	// must not pass for the end.
	return extent{}, fmt.Errorf("its length: %w", unmeasured)
}

// look asks the NameNode.
func (r *reader) look(ctx context.Context) (extent, error) {
	blocks, err := r.store.names.GetBlockLocations(ctx, r.path)
	if err != nil {
		return extent{}, err
	}
	e, err := extentOf(blocks)
	if err != nil {
		return extent{}, userError(talos.CorruptSegment, "open", r.path, err.Error(), nil)
	}
	r.remember(e)
	return e, nil
}

func extentOf(blocks *wire.LocatedBlocks) (extent, error) {
	block := blocks.GetLastBlock()
	if all := blocks.GetBlocks(); len(all) > 1 || block.GetOffset() > 0 {
		return extent{}, errors.New("it has several blocks, and a segment has one: it was not written by Talos")
	} else if block == nil && len(all) == 1 {
		block = all[0]
	}
	e := extent{block: block, size: int64(block.GetBlock().GetNumBytes())}
	switch {
	case !blocks.GetUnderConstruction():
		e.size, e.ended, e.final = int64(blocks.GetFileLength()), true, true
	case block == nil, blocks.GetIsLastBlockComplete():
		e.ended = true
	}
	return e, nil
}

func (r *reader) last() extent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

// remember keeps what was seen for the next call. The end of an open file is
// none by then.
func (r *reader) remember(e extent) {
	if !e.final {
		e.ended = false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = e
}

// explain says that a segment is damaged if all of its replicas are.
func (r *reader) explain(op string, off int64, err error) error {
	if errors.Is(err, datanode.ErrDamaged) {
		return userError(talos.CorruptSegment, op, r.path, fmt.Sprintf("at byte %d or behind, on every DataNode that has it", off), err)
	}
	return r.store.explain(op, r.path, err)
}
