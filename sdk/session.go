package sdk

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
)

// sessionWindow is how many requests a session takes beyond those that its stream
// has taken.
const sessionWindow = 8

// link is what the pipeline knows of one address.
//
//	            a lane needs it           the stream is open
//	no session ────────────────► opening ──────────────────► open
//	    ▲                           │                          │
//	    └──── broken, or no lane needs it ◄────────────────────┘
type link struct {
	address string
	session *session // nil while there is none
	opened  bool     // the session's stream takes requests

	openedAt time.Time // zero if it did not come to that
	// After a failure, no session is opened before reopenAt.
	reopenAt time.Time
	failures int // of streams, in a row
	lastErr  error
	// out are the batches that the session has not taken yet; those that were
	// resolved meanwhile are skipped.
	out []*batchInFlight
	// byID are the batches that the session has taken, or that are in out.
	byID map[uint64]*batchInFlight
}

// drop ends the session, and forgets what it has.
func (k *link) drop() {
	if k.session != nil {
		k.session.end()
	}
	k.session, k.opened, k.out = nil, false, nil
	clear(k.byID)
}

// feed gives the session what it has room for. It says so through room when it
// has again.
func (k *link) feed() {
	for k.opened && len(k.out) > 0 {
		f := k.out[0]
		if f.unanswered && !k.session.give(f.request) {
			return
		}
		f.sent = f.sent || f.unanswered
		k.out[0] = nil
		k.out = k.out[1:]
	}
}

// session is one stream of Produce, from its opening until it breaks: a
// goroutine that receives, and one that sends.
type session struct {
	link *link
	send chan *talosv1.ProduceRequest
	// full says that somebody waits for room.
	full atomic.Bool
	// room gets a token then.
	room chan<- struct{}
	// end breaks the stream.
	end context.CancelFunc
}

// give hands over a request unless the session is full.
func (s *session) give(r *talosv1.ProduceRequest) bool {
	select {
	case s.send <- r:
		return true
	default:
	}
	s.full.Store(true)
	// Room that was made before that is told to nobody.
	select {
	case s.send <- r:
		return true
	default:
		return false
	}
}

// run opens the stream and reports what happens to it: opened, any number of
// answers, and last what broke it. It ends soon after ctx.
func (s *session) run(ctx context.Context, c *Client, report func(event)) {
	p, err := c.peers.take(s.link.address)
	if err != nil {
		report(streamBroken{s, err})
		return
	}
	defer c.peers.release(p)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := c.greet(ctx, p); err != nil {
		report(streamBroken{s, c.streamError(p, err)})
		return
	}
	stream, err := p.log.Produce(ctx)
	if err != nil {
		report(streamBroken{s, c.streamError(p, err)})
		return
	}
	report(streamOpened{s})
	var sender sync.WaitGroup
	sender.Go(func() {
		// At io.EOF the stream is broken, and Recv knows why.
		if err := s.sendAll(ctx, stream); err != nil && !errors.Is(err, io.EOF) {
			cancel(err)
		}
	})
	for {
		answer, err := stream.Recv()
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			cancel(nil)
			sender.Wait()
			report(streamBroken{s, c.streamError(p, err)})
			return
		}
		report(answered{s, answer})
	}
}

// streamError makes a *talos.Error of what broke a stream.
func (c *Client) streamError(p *peer, err error) error {
	err = c.callError(context.Background(), "sdk.Producer", p.address, err)
	c.learnFrom(p, err)
	return err
}

func (s *session) sendAll(ctx context.Context, stream talosv1.Log_ProduceClient) error {
	for {
		select {
		case request := <-s.send:
			if s.full.CompareAndSwap(true, false) {
				select {
				case s.room <- struct{}{}:
				default: // there is a token
				}
			}
			if err := stream.Send(request); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}
