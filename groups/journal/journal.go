package journal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/talos-log/talos/talos"
)

// Log is the partition that a journal lies in.
type Log interface {
	// Append stores one batch, and returns when it is durable or never will be.
	Append(batch []byte) error
	// Read returns whole batches from offset on; none at the end.
	Read(ctx context.Context, offset talos.Offset, maxBytes int) ([]byte, error)
	Range() talos.OffsetRange
	// Trim moves the start.
	Trim(ctx context.Context, offset talos.Offset) error
	// Done is closed when the log has ended.
	Done() <-chan struct{}
}

// Machine is the state. The journal's goroutine alone calls it.
type Machine interface {
	// Apply takes an event, as Take or Snapshot returned it once.
	Apply(event []byte) error
	// Settle follows up the commands of a turn, and does what is due. It returns
	// when to be called again at the latest; zero for no reason to.
	Settle(now time.Time) time.Time
	// Take returns what has changed since the last call; the state has it already.
	Take() [][]byte
	// Snapshot gives the events that make the state out of nothing.
	Snapshot(yield func([]byte) bool)
	// Reset makes the state nothing.
	Reset()
}

// Limits of a journal.
const (
	// maxQueue bounds the commands that wait; one more waits in Do.
	maxQueue = 4096
	// batchBytes is where a turn's events go on in another batch. The events of one
	// command stay together.
	batchBytes = 512 << 10
	// readBytes is how much is read at a time.
	readBytes = 1 << 20
	// SnapshotBytes is how many bytes of events there are at least between two
	// snapshots.
	SnapshotBytes = 4 << 20
)

// Options are what a journal may be told; the zero value means the defaults.
type Options struct {
	// SnapshotBytes replaces the constant.
	SnapshotBytes int
	// After is called after each turn, by the journal's goroutine: what changed is
	// durable. It must not block.
	After func()
}

// Journal is a loaded machine. All methods may be called concurrently.
type Journal[M Machine] struct {
	machine M
	log     Log
	options Options
	queue   chan *command[M]
	// done is closed when the journal has ended, err is why; written before.
	done chan struct{}
	err  error

	// The fields below are the goroutine's. grown is the bytes of events since the last
	// snapshot, snapshot the bytes of that.
	grown, snapshot int
}

type command[M Machine] struct {
	run, answer func(M)
	done        chan struct{}
}

// Open loads the machine, which must be empty, and runs the journal until ctx or the
// log ends; Wait waits for that. Load errors are returned.
func Open[M Machine](ctx context.Context, log Log, machine M, options Options, workers *sync.WaitGroup) (*Journal[M], error) {
	if options.SnapshotBytes == 0 {
		options.SnapshotBytes = SnapshotBytes
	}
	j := &Journal[M]{
		machine: machine, log: log, options: options,
		queue: make(chan *command[M], maxQueue), done: make(chan struct{}),
	}
	if err := j.load(ctx); err != nil {
		return nil, err
	}
	workers.Go(func() { j.run(ctx) })
	return j, nil
}

// Done is closed when the journal has ended.
func (j *Journal[M]) Done() <-chan struct{} { return j.done }

// Err is why it ended, after Done is closed.
func (j *Journal[M]) Err() error { return j.err }

// Do runs a command, and returns after all that it changed, and all that it saw, is
// durable. Answer, which may be nil, runs after Settle. Both run in the journal's
// goroutine and must not block. After an error, a command may have run, or still
// run, and may have changed something.
func (j *Journal[M]) Do(ctx context.Context, run, answer func(M)) error {
	c := &command[M]{run: run, answer: answer, done: make(chan struct{})}
	select {
	case j.queue <- c:
	case <-j.done:
		return j.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-j.done:
		select {
		case <-c.done:
			return nil
		default:
			return j.err
		}
	}
}

func (j *Journal[M]) run(ctx context.Context) {
	j.err = j.turns(ctx)
	close(j.done)
}

func (j *Journal[M]) turns(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var waiting []*command[M]
		select {
		case <-ctx.Done():
			return ended("it is not needed anymore", ctx.Err())
		case <-j.log.Done():
			return ended("its partition was closed here", nil)
		case c := <-j.queue:
			waiting = j.gather(c)
		case <-timer.C:
			// Time may be up only because this goroutine did not run: who waits is heard
			// first.
			waiting = j.gather()
		}
		due, err := j.turn(waiting)
		if err != nil {
			return err
		}
		timer.Stop()
		if !due.IsZero() {
			timer.Reset(max(time.Until(due), time.Millisecond))
		}
		if j.grown > max(j.options.SnapshotBytes, 2*j.snapshot) {
			if err := j.writeSnapshot(ctx); err != nil {
				return err
			}
		}
	}
}

// gather takes all that waits.
func (j *Journal[M]) gather(first ...*command[M]) []*command[M] {
	all := first
	for len(all) < maxQueue {
		select {
		case c := <-j.queue:
			all = append(all, c)
		default:
			return all
		}
	}
	return all
}

// turn runs commands, stores what changed, and answers. A panic ends the journal,
// not the process.
func (j *Journal[M]) turn(commands []*command[M]) (due time.Time, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &talos.Error{Kind: talos.Internal, Op: "journal.turn", Detail: fmt.Sprintf("a panic: %v", p)}
		}
	}()
	w := newWriter(j.log)
	for _, c := range commands {
		c.run(j.machine)
		if err := w.add(keyEvent, j.machine.Take()); err != nil {
			return due, failed(err)
		}
	}
	due = j.machine.Settle(time.Now())
	if err := w.add(keyEvent, j.machine.Take()); err != nil {
		return due, failed(err)
	}
	for _, c := range commands {
		if c.answer != nil {
			c.answer(j.machine)
		}
	}
	if err := w.flush(); err != nil {
		return due, failed(err)
	}
	j.grown += w.written
	for _, c := range commands {
		close(c.done)
	}
	if j.options.After != nil {
		j.options.After()
	}
	return due, nil
}

func ended(why string, cause error) error {
	return &talos.Error{Kind: talos.NotServing, Op: "journal.Journal", Detail: why, Cause: cause}
}

// failed makes a failed append an error that a client may try again after.
func failed(cause error) error {
	return &talos.Error{Kind: talos.NotServing, Op: "journal.Journal", Detail: "what happened could not be stored", Cause: cause}
}
