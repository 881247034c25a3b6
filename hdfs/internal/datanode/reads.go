package datanode

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// answerTimeout bounds a DataNode's answer to a read. It waits for 3 s itself
	// for bytes that a replica being written does not have yet.
	answerTimeout = 5 * time.Second
	// stallTimeout is how long a DataNode may send nothing once it has answered.
	stallTimeout = 5 * time.Second
	// partBytes is the most that one connection is asked for at a time, and where
	// a larger read is split.
	partBytes = 1 << 20
	// maxParts is how many parts of one read are in flight.
	maxParts = 4
	// maxReading is how many parts of all reads are in flight; more wait. Each
	// costs a DataNode a thread.
	maxReading = 64
)

// ReadConfig says how to read; 0 means the default.
type ReadConfig struct {
	// ClientName is told to the DataNodes, for their logs.
	ClientName string
	// User is whom the DataNodes believe to be asking for lengths; ClientName if
	// empty.
	User string
	// UseHostname dials host names instead of IP addresses.
	UseHostname bool
	// OnFailover is called when a replica was not read and another is tried next,
	// with one of the Reasons. It may be called concurrently, and must not block.
	OnFailover func(node *wire.DatanodeInfo, reason string, err error)
	// Dial replaces TCP.
	Dial Dialer
	// ConnectTimeout bounds dialling.
	ConnectTimeout time.Duration
	// AnswerTimeout bounds the answer to a read.
	AnswerTimeout time.Duration
	// StallTimeout is how long nothing may arrive thereafter.
	StallTimeout time.Duration
	// IdleTimeout is how long a connection is kept for the next read.
	IdleTimeout time.Duration
}

func (c ReadConfig) withDefaults() ReadConfig {
	or := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	or(&c.ConnectTimeout, connectTimeout)
	or(&c.AnswerTimeout, answerTimeout)
	or(&c.StallTimeout, stallTimeout)
	or(&c.IdleTimeout, idleTimeout)
	if c.User == "" {
		c.User = c.ClientName
	}
	if c.OnFailover == nil {
		c.OnFailover = func(*wire.DatanodeInfo, string, error) {}
	}
	return c
}

// Reads reads blocks. All methods may be called concurrently.
type Reads struct {
	config ReadConfig
	idle   *pool
	health *health
	slots  chan struct{} // holds one element for each part in flight

	ctx  context.Context // ends with Close
	stop context.CancelCauseFunc

	mu     sync.Mutex // guards closed, and that no call begins after it is set
	closed bool
	calls  sync.WaitGroup
}

// NewReads connects to nobody yet. The caller must Close it.
func NewReads(c ReadConfig) *Reads {
	c = c.withDefaults()
	r := &Reads{config: c, idle: newPool(c.IdleTimeout), health: newHealth(), slots: make(chan struct{}, maxReading)}
	r.ctx, r.stop = context.WithCancelCause(context.Background())
	return r
}

// Close fails the calls in flight, waits for them, and closes the connections.
func (r *Reads) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop(ErrReadsClosed)
	r.calls.Wait()
	r.idle.close()
}

// begin makes a call's context end with Close as well. end must be called.
func (r *Reads) begin(ctx context.Context) (calling context.Context, end func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, ErrReadsClosed
	}
	calling, cancel := context.WithCancelCause(ctx)
	r.calls.Add(1)
	stop := context.AfterFunc(r.ctx, func() { cancel(ErrReadsClosed) })
	return calling, func() {
		stop()
		cancel(nil)
		r.calls.Done()
	}, nil
}

// ReadAt fills p with the bytes of a block from off on, which must lie within the
// block. Each byte was checked against its replica's checksums. Replicas are tried
// in the order of the block's locations, those that failed lately last. It fails
// with a *ReplicasError if none could be read, ErrReadsClosed, or the cause of the
// end of ctx, which it does not outlast; p then holds anything.
func (r *Reads) ReadAt(ctx context.Context, block *wire.LocatedBlock, p []byte, off int64) error {
	ctx, end, err := r.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if len(p) <= partBytes {
		return r.part(ctx, block, p, off)
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.SetLimit(maxParts)
	for len(p) > 0 {
		n := min(len(p), int(partBytes-off%partBytes))
		first, at := p[:n], off
		parts.Go(func() error { return r.part(ctx, block, first, at) })
		p, off = p[n:], off+int64(n)
	}
	return parts.Wait()
}

// part reads from one replica after the other until one has it all.
func (r *Reads) part(ctx context.Context, block *wire.LocatedBlock, p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	failed := &ReplicasError{Block: block.GetBlock()}
	nodes := r.health.order(block)
	for i, node := range nodes {
		err := r.from(ctx, block, node, p, off)
		if err == nil {
			r.health.well(node, block.GetBlock())
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		reason := reasonOf(err)
		r.health.failed(node, block.GetBlock(), reason)
		failed.add(node, reason, err)
		if i+1 < len(nodes) {
			r.config.OnFailover(node, reason, err)
		}
	}
	return failed
}

// from reads from one replica, over an idle connection if there is one.
func (r *Reads) from(ctx context.Context, block *wire.LocatedBlock, node *wire.DatanodeInfo, p []byte, off int64) error {
	address := Address(node, r.config.UseHostname)
	op := &wire.OpReadBlock{
		Header: &wire.OperationHeader{
			Base:       &wire.BaseHeader{Block: block.GetBlock(), Token: block.GetToken()},
			ClientName: &r.config.ClientName,
		},
		Offset: proto.Uint64(uint64(off)), Length: proto.Uint64(uint64(len(p))), SendChecksums: proto.Bool(true),
	}
	if c := r.idle.take(address); c != nil {
		stale, err := r.over(ctx, address, c, op, p)
		if !stale || ctx.Err() != nil {
			return err
		}
	}
	conn, err := dial(ctx, r.config.Dial, address, r.config.ConnectTimeout)
	if err != nil {
		return &dialError{err}
	}
	_, err = r.over(ctx, address, newReadConn(conn, r.config), op, p)
	return err
}

// over reads over one connection, and keeps or closes it. stale says that it was
// broken before.
func (r *Reads) over(ctx context.Context, address string, c *readConn, op *wire.OpReadBlock, p []byte) (stale bool, err error) {
	release := context.AfterFunc(ctx, func() { _ = c.close() }) // nothing is lost with it
	again, err := c.read(op, p)
	if release() && again {
		r.idle.put(address, c)
		return false, nil
	}
	_ = c.close() // p is there, or the first error tells more
	return c.used && err != nil && c.unanswered(err), err
}
