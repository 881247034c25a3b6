package datanode

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// laggard is how long a DataNode may take after another one acknowledged the
	// same append. A stopped DataNode gives no other sign.
	laggard = 2 * time.Second
	// silence is how long a DataNode may acknowledge nothing while it owes
	// something.
	silence = 15 * time.Second
	// heartbeats are sent after so long without a packet; DataNodes close a
	// connection after 60 s.
	heartbeats = 10 * time.Second
	// maxQueued bounds what waits for one connection, in bytes, for longer than a
	// laggard may take. The bytes are the caller's.
	maxQueued = 64 << 20
)

// Config says how to reach DataNodes and how long to wait for them; 0 means the
// default.
type Config struct {
	// ClientName is the lease holder.
	ClientName string
	// Dial replaces TCP.
	Dial Dialer
	// UseHostname dials host names instead of IP addresses.
	UseHostname bool
	// ConnectTimeout bounds dialling, and then the answer.
	ConnectTimeout time.Duration
	// Laggard is how long a DataNode may take longer than another one, and how
	// long more than QueueBytes may wait for it.
	Laggard time.Duration
	// Silence is how long a DataNode may owe acknowledgements and give none.
	Silence time.Duration
	// Heartbeat is the time without packets after which an empty one is sent.
	Heartbeat time.Duration
	// QueueBytes is the most that may wait for one connection for long.
	QueueBytes int64
	// OnSlow, if not nil, is told of a DataNode for which appends wait much longer than
	// for the others, and for how long they did within the last seconds: again
	// while that lasts. It must not block, nor call the writer.
	OnSlow func(node *wire.DatanodeInfo, waited time.Duration)
}

func (c Config) withDefaults() Config {
	or := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	or(&c.ConnectTimeout, connectTimeout)
	or(&c.Laggard, laggard)
	or(&c.Silence, silence)
	or(&c.Heartbeat, heartbeats)
	if c.QueueBytes <= 0 {
		c.QueueBytes = maxQueued
	}
	return c
}

// The errors that a caller tells apart.
var (
	// ErrBroken is wrapped by every error of a Writer that takes no more appends:
	// one of its DataNodes failed, it was abandoned, or finished.
	ErrBroken = errors.New("block writer is over")
	// ErrLaggard: a DataNode did not acknowledge in time.
	ErrLaggard = errors.New("it does not keep up")
	// ErrProtocol: a DataNode acknowledged what it should not have.
	ErrProtocol = errors.New("it breaks the protocol")

	errAbandoned = errors.New("it was abandoned")
	errFinished  = errors.New("it was finished")
	errTakesNone = errors.New("a block opened for its sync takes no data")
)

// Writer writes one block to all of its DataNodes. Append, Sync, Finish and
// Abandon must not be called concurrently; the others may be at any time.
type Writer struct {
	config Config
	legs   []*leg
	// fixed is set on a block opened for its sync.
	fixed bool

	dead  chan struct{}
	rouse chan struct{}  // wakes the watch; holds one
	gone  sync.WaitGroup // all goroutines
	mu    sync.Mutex     // guards the fields below, and those of the legs that say so
	cutter
	queue  fifo[*packet] // what some connection has not written yet
	queued int64         // bytes put into queue since the start
	newest int64         // seqno of the newest packet; -1 at first
	// newestEnd is the block's length with that packet.
	newestEnd int64
	// pending are the appends whose done was not called. Of those at its head,
	// settled are acknowledged by all DataNodes, and led by at least one.
	pending      fifo[pending]
	settled, led int
	acknowledged int64
	// uncut are the newest of pending that are no packets yet: synced appends wait
	// for the sync before them. syncing is the seqno of that one, or -1; held is its
	// packet while the ones before it are not acknowledged.
	uncut   int
	syncing int64
	held    *packet
	// delivering is set while a goroutine calls done functions.
	delivering bool
	// drained is closed when nothing is pending anymore, for Finish.
	drained chan struct{}
	ending  bool // newest is the last packet
	patience
	resting bool // the watch waits for a heartbeat's time, or rouse
	touched time.Time
	senders int // how many run
	err     error
	blamed  []*wire.DatanodeInfo
	// draining: the writer has failed, and the DataNodes that did not are brought to
	// the same length.
	draining bool
}

// pending is an append in flight.
type pending struct {
	p    []byte // until it is cut
	sync bool
	last int64 // seqno of its last packet; uncutSeqno before it is cut
	end  int64 // the block's length with it
	done func(error)
	// since is when the first DataNode acknowledged it.
	since time.Time
}

// uncutSeqno is that of an append which has no packets yet.
const uncutSeqno = math.MaxInt64

// Append adds p behind all earlier appends. done is called exactly once: with nil
// when every DataNode has p (and with sync, has it on disk), else with an error
// that wraps ErrBroken. Several appends may be in flight; their done functions are
// called in order, one at a time, on a goroutine of the writer. They must not block,
// nor call Finish or Abandon. Append does not block. p must not change until then.
func (w *Writer) Append(p []byte, sync bool, done func(error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fixed && len(p) > 0 {
		w.failLocked(errTakesNone)
	}
	w.pending.push(pending{p: p, sync: sync, last: uncutSeqno, done: done})
	w.uncut++
	if w.err != nil {
		w.tellRest()
		return
	}
	w.cut()
}

// Sync makes durable what was appended before; done as of Append.
func (w *Writer) Sync(done func(error)) { w.Append(nil, true, done) }

// tellRest makes sure that appends which a failure finds are told when all senders
// have ended before, and those that come after it. It runs with mu held.
func (w *Writer) tellRest() {
	// Senders tell what is pending when they end.
	if w.senders == 0 && !w.delivering && w.pending.len() > 0 {
		w.delivering = true
		w.gone.Go(w.deliverRest)
	}
}

// enqueue runs with mu held.
func (w *Writer) enqueue(p *packet) {
	now := time.Now()
	w.touched = now
	if p.seqno != heartbeatSeqno {
		w.newest, w.newestEnd = p.seqno, w.offset
	}
	w.queue.push(p)
	w.queued += p.size()
	for _, l := range w.legs {
		l.offered(now)
		if p.seqno == heartbeatSeqno {
			l.beats++
		}
	}
	if w.resting {
		w.resting = false
		select {
		case w.rouse <- struct{}{}:
		default:
		}
	}
}

// Finish waits for what is in flight, ends the block at its length, waits until
// every DataNode has acknowledged that, and closes the connections. It fails with
// ErrBroken; if ctx ends it fails with its cause, and the writer is broken.
func (w *Writer) Finish(ctx context.Context) error {
	err := w.drain(ctx)
	if err == nil {
		err = w.end(ctx)
	}
	if err == nil {
		err = errFinished
	}
	w.fail(err)
	w.gone.Wait()
	if err := w.Err(); !errors.Is(err, errFinished) {
		return err
	}
	return nil
}

func (w *Writer) drain(ctx context.Context) error {
	w.mu.Lock()
	if w.err != nil || w.pending.len() == 0 && !w.delivering {
		defer w.mu.Unlock()
		return w.err
	}
	drained := make(chan struct{})
	w.drained = drained
	w.mu.Unlock()
	select {
	case <-drained:
		return w.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end sends the last packet.
func (w *Writer) end(ctx context.Context) error {
	ended := make(chan error, 1)
	w.mu.Lock()
	w.ending = true
	w.pending.push(pending{last: w.seqno, end: w.offset, done: func(err error) { ended <- err }})
	if w.err != nil {
		w.tellRest()
	} else {
		w.enqueue(w.empty(true))
	}
	w.mu.Unlock()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Abandon closes the connections and fails what is in flight. It returns when all
// done functions have been called and no goroutine is left; it may be called
// again, and after Finish.
func (w *Writer) Abandon() {
	w.fail(errAbandoned)
	w.gone.Wait()
}

// Acknowledged is the length that every DataNode has acknowledged, in whole
// appends.
func (w *Writer) Acknowledged() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acknowledged
}

// Dead is closed when the writer takes no more appends, also after Finish.
func (w *Writer) Dead() <-chan struct{} { return w.dead }

// Err says why the writer takes no more appends; nil while it does.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Culprits are the DataNodes that broke the writer: whose connection failed, that
// answered an error, or that did not keep up. A recovery of the block by somebody
// else ends every connection; the first to be seen is blamed.
func (w *Writer) Culprits() []*wire.DatanodeInfo {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.blamed
}

// fail ends the writer, once, and blames legs for it.
func (w *Writer) fail(err error, legs ...*leg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failLocked(err, legs...)
}

func (w *Writer) failLocked(err error, legs ...*leg) {
	if w.err != nil {
		return
	}
	w.err = err
	if !errors.Is(err, ErrBroken) {
		w.err = fmt.Errorf("%w: %w", ErrBroken, err)
	}
	for _, l := range legs {
		w.blamed = append(w.blamed, l.node)
	}
	close(w.dead)
	w.drainOrClose(legs)
	w.tellRest()
}
