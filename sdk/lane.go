package sdk

import (
	"bytes"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// lane is what the pipeline knows of one partition.
//
//	          refused, may be sent again          all answers are in, the delay is over
//	sending ─────────────────────────────► resend ──────────────────────────────────► sending
//	   │       or the stream broke                      (all, in order, the same bytes)
//	   │ a batch failed: a hole in the sequence
//	   ▼
//	stale ────────► renewing ────────► sending, with a new producer id from sequence 0
//	   in flight: none      id is here
//
// A lane goes to the node at address. It moves to the owner, where that is another
// one, only while nothing is unanswered and something must be sent again, or
// nothing is in flight: so batches are on one stream at a time, in order, and what
// the node before has stored the next one knows as a duplicate.
//
// The order of batches in inflight is the order of their sequences and of their
// records, always; done is called from its front.
type lane struct {
	partition int32
	subject   string
	address   string // where batches go; "" if nobody is known
	owner     string // where they should go
	settled   bool   // the node at address takes them: metadata may be behind
	id        producerID
	next      int32       // the next batch's first sequence
	epoch     talos.Epoch // the highest that was seen

	queue    []taken // in no batch yet
	inflight []*batchInFlight

	// unanswered counts the batches that are on the stream, or about to be.
	unanswered int
	// resend says that batches must be sent again once nothing is unanswered, and
	// not before notBefore.
	resend    bool
	notBefore time.Time
	failures  int // in a row
	lastErr   error
	// lost is the error by which the node said that it knows nothing of this
	// producer: what to do is decided when all answers are in.
	lost error
	// missing is the error by which a node said that there is no such topic or
	// partition: nothing is sent until somebody else has said so, or otherwise.
	missing error
	// stale says that the sequence has a hole: nothing new is sent until there is
	// a new id.
	stale bool
	// renewing says that a new id is on its way.
	renewing bool
	// touched is set while the lane is on takeAll's list.
	touched bool
}

// batchInFlight is a batch between its making and the end of its records.
type batchInFlight struct {
	lane    *lane
	bytes   []byte
	entries []entry
	request *talosv1.ProduceRequest // of the last attempt; nil before the first

	unanswered bool // it is on the stream, or about to be
	again      bool // it was answered: it must be sent again
	sent       bool // it was on a stream at some time
	// uncertain says that an attempt may have stored it, although no answer says so.
	uncertain bool
	resolved  bool // by stored or err; it waits for those before it
	stored    *talosv1.Appended
	err       error
}

func (n *lane) idle() bool { return len(n.queue) == 0 && len(n.inflight) == 0 }

// oldest is when the first record that is not done was taken; the lane is not idle.
func (n *lane) oldest() time.Time {
	if len(n.inflight) > 0 {
		return n.inflight[0].entries[0].since
	}
	return n.queue[0].entry.since
}

// pop takes the first record out of the queue.
func (n *lane) pop() taken {
	t := n.queue[0]
	n.queue[0] = taken{}
	if n.queue = n.queue[1:]; len(n.queue) == 0 {
		n.queue = nil
	}
	return t
}

// unresolved tells whether a batch has no end yet.
func (n *lane) unresolved() bool {
	for _, f := range n.inflight {
		if !f.resolved {
			return true
		}
	}
	return false
}

// uncertain tells whether one of the batches without an end may be stored.
func (n *lane) uncertain() bool {
	for _, f := range n.inflight {
		if !f.resolved && f.uncertain {
			return true
		}
	}
	return false
}

// follows tells whether a batch before f must be sent again: then the node can't
// take f, whatever it says, and refuses it for its sequence.
func (n *lane) follows(f *batchInFlight) bool {
	for _, before := range n.inflight {
		if before == f {
			return false
		}
		if before.again {
			return true
		}
	}
	return false
}

// mayMove tells whether the lane should go to another node, and may.
func (n *lane) mayMove() bool {
	return n.owner != n.address && n.unanswered == 0 && (n.resend || len(n.inflight) == 0)
}

// sendAgain marks a batch that was refused for a while.
func (n *lane) sendAgain(f *batchInFlight, err error, now time.Time) {
	f.again, n.lastErr, n.settled = true, err, false
	if !n.resend {
		n.resend = true
		n.notBefore = now.Add(backoffAfter(n.failures))
		n.failures++
	}
}

// follow makes the lane go to the owner that a node named: at once, unless that is
// not the first refusal in a row. Nodes may know for a moment different owners.
func (n *lane) follow(to string, now time.Time) {
	n.owner = to
	if n.failures == 1 {
		n.notBefore = now
	}
}

// broke takes note that the stream is gone, and with it all answers still due.
func (n *lane) broke() {
	for _, f := range n.inflight {
		if f.unanswered && f.sent {
			f.uncertain = true
		}
		f.unanswered = false
	}
	n.unanswered, n.settled = 0, false
	n.resend = n.resend || n.unresolved()
}

// renew gives what is in flight, none of which is stored, another producer id.
func (n *lane) renew(id producerID) {
	n.id, n.next, n.renewing, n.stale = id, 0, false, false
	for _, f := range n.inflight {
		if f.resolved {
			continue
		}
		// gRPC may still hold the old bytes.
		f.bytes, f.sent = bytes.Clone(f.bytes), false
		batch.Stamp(f.bytes, id.id, id.epoch, n.next)
		n.next = batch.AddSequence(n.next, int32(len(f.entries)))
	}
}
