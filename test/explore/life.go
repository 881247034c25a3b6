package explore

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"sync"
	"testing"

	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// role is what an owner's life begins with.
type role struct {
	// appends and trims are what its client asks for.
	appends int
	trims   bool
	// late: it starts when the minute has passed.
	late bool
}

// saying is something that an owner did, apart from asking: the step in which it
// happens checks it.
type saying struct {
	what     kindOfSaying
	name     string // of a segment
	offset   talos.Offset
	sequence int32
	err      error
}

func (s saying) String() string {
	return fmt.Sprint(s.what, " ", s.name, " record ", s.sequence, " offset ", s.offset, " ", talos.KindOf(s.err))
}

type kindOfSaying uint8

const (
	triesName    kindOfSaying = iota // it gives the name to Create
	sealsSegment                     // it seals its segment
	acknowledges                     // it acknowledges sequence at offset
	asksForTrim                      // it is asked to trim to offset
	hasOpened                        // it serves
	cantOpen                         // it does not
	breaksRule                       // it shows something broken
)

// shown is what an owner lets be read.
type shown struct {
	start, end talos.Offset
	epoch      talos.Epoch
	at         []placed
	// partly: it lost its right, or ended, while it was read.
	partly bool
}

type placed struct {
	offset   talos.Offset
	sequence int32
}

// life is one owner that really runs: a partition.Log and its client.
type life struct {
	t      *testing.T
	bounds Bounds
	role   role
	stop   context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex // guards the fields below
	waiting []waiting
	said    []saying
	log     *partition.Log
	openErr error
	// client is how far the client has come: all that it has in mind.
	client struct {
		wish     int
		repeated bool
		gone     bool
		// sequence is what it has sent and not been answered for yet, unanswered how
		// often; failed: one of them failed.
		sequence   int32
		unanswered int
		failed     bool
	}
	// still is true once no time will pass anymore.
	still bool
	// looking is true while its content is read for checking; seen is the view that
	// was looked at last, and shows what it showed.
	looking bool
	seen    <-chan struct{}
	shows   *shown
}

// waiting is a question and who waits for the answer.
type waiting struct {
	question question
	answer   func(told)
}

func begin(t *testing.T, b Bounds, r role) *life {
	ctx, stop := context.WithCancel(context.Background())
	l := &life{t: t, bounds: b, role: r, stop: stop, done: make(chan struct{}), still: !b.Trim || r.late}
	go l.run(ctx)
	return l
}

func (l *life) run(ctx context.Context) {
	defer close(l.done)
	t := topic
	t.Config.SegmentBytes = l.bounds.SegmentBytes
	log, err := partition.Open(ctx, partition.Config{
		Cluster: "explored", Topic: t, Store: askedStore{l}, Records: askedRecord{l}, Logger: slog.New(slog.DiscardHandler),
	})
	l.mu.Lock()
	l.log, l.openErr = log, err
	l.mu.Unlock()
	if err != nil {
		l.say(saying{what: cantOpen, err: err})
		return
	}
	l.say(saying{what: hasOpened})
	l.serve(ctx)
	l.mu.Lock()
	l.client.gone = true
	l.mu.Unlock()
	<-ctx.Done()
	_ = log.Close(ctx) // that it was given up is what the error says
}

// serve is the client: one wish after the other, until one fails.
func (l *life) serve(ctx context.Context) {
	for i := range l.role.appends {
		if next, ok := l.wish(i); !ok || !l.produce(next) {
			return
		}
	}
	if l.role.trims {
		if _, ok := l.wish(l.role.appends); ok {
			end := l.log.Range().End
			l.say(saying{what: asksForTrim, offset: end})
			_ = l.log.Trim(ctx, end) // whether it was trimmed shows in the record
		}
	}
}

// wish waits until the client asks for the i-th thing. It returns the sequence
// that the producer has come to.
func (l *life) wish(i int) (next int32, ok bool) {
	l.mu.Lock()
	l.client.wish = i
	l.mu.Unlock()
	t := l.ask(question{verb: askNext, nth: i, atOnce: i == 0})
	return t.sequence, t.failed == noReason
}

// produce sends the record that is to be stored next, which an earlier owner may
// have stored without saying so, and waits for the answer.
func (l *life) produce(sequence int32) bool {
	if l.bounds.Again && !l.client.repeated && sequence > 0 {
		sequence--
	}
	times := 1
	if l.bounds.Twice {
		times = 2
	}
	l.mu.Lock()
	l.client.repeated, l.client.sequence, l.client.unanswered = true, sequence, times
	l.mu.Unlock()
	answered := make(chan bool, 1)
	for range times {
		l.log.Append(recordBatch(sequence), func(a partition.Appended, err error) {
			if err == nil {
				l.say(saying{what: acknowledges, sequence: sequence, offset: a.Base})
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.client.unanswered--
			l.client.failed = l.client.failed || err != nil
			if l.client.unanswered == 0 {
				l.client.sequence = 0
				answered <- !l.client.failed
			}
		})
	}
	return <-answered
}

// look reads everything that the log shows, if that has changed since the last
// time; it runs beside the owner, because reading asks the store.
func (l *life) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.log
	if log == nil || l.looking || log.Err() != nil || l.seen == log.Changed() {
		return
	}
	l.seen, l.looking = log.Changed(), true
	go func() {
		s := &shown{start: log.Range().Start, end: log.Range().End, epoch: log.Epoch()}
		err := s.read(log)
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil {
			l.said = append(l.said, saying{what: breaksRule, err: err})
		}
		l.looking, l.shows = false, s
	}()
}

func (s *shown) read(log *partition.Log) error {
	known := map[int32]talos.Offset{}
	for offset := s.start; offset < s.end; {
		b, err := log.Read(context.Background(), offset, 1<<20)
		if err != nil {
			if kind := talos.KindOf(err); log.Err() == nil && kind != talos.NotOwner && kind != talos.NotServing {
				return fmt.Errorf("can't read offset %d of %d: %w", offset, s.end, err)
			}
			s.partly = true
			return nil
		}
		for one, err := range batch.All(b) {
			if err != nil {
				return fmt.Errorf("what is at offset %d does not parse: %w", offset, err)
			}
			if at, ok := known[one.FirstSequence]; ok && at != one.Base {
				return fmt.Errorf("record %d is at offset %d and at %d", one.FirstSequence, at, one.Base)
			}
			known[one.FirstSequence] = one.Base
			s.at = append(s.at, placed{one.Base, one.FirstSequence})
			offset = one.Next()
		}
	}
	return nil
}

// did returns what the owner has said and shown since it was asked last.
func (l *life) did() ([]saying, *shown) {
	l.mu.Lock()
	defer l.mu.Unlock()
	said, shows := l.said, l.shows
	l.said, l.shows = nil, nil
	return said, shows
}

// asks returns what it asks.
func (l *life) asks() []question {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []question
	for _, w := range l.waiting {
		all = append(all, w.question)
	}
	return all
}

func (l *life) say(s saying) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, s)
}

func (l *life) looks() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.looking
}

// ask waits for the answer.
func (l *life) ask(q question) told {
	answer := make(chan told, 1)
	l.enter(q, func(t told) { answer <- t })
	return <-answer
}

func (l *life) enter(q question, answer func(told)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, waiting{q, answer})
}

// drop takes the questions that match off the list.
func (l *life) drop(match func(*question) bool) (dropped []waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := l.waiting[:0:0]
	for _, w := range l.waiting {
		if match(&w.question) {
			dropped = append(dropped, w)
		} else {
			rest = append(rest, w)
		}
	}
	l.waiting = rest
	return dropped
}

// end stops the life wherever it is.
func (l *life) end(settle func()) {
	l.stop()
	for {
		settle()
		left := l.drop(func(*question) bool { return true })
		if len(left) == 0 {
			break
		}
		for _, w := range left {
			w.answer(told{failed: faulty})
		}
	}
	<-l.done
}

// recordBatch is the producer's batch with one record; sequence stands for its
// content.
func recordBatch(sequence int32) []byte {
	k := kmsg.RecordBatch{
		Length: batch.HeaderSize - 12, PartitionLeaderEpoch: -1, Magic: 2, ProducerID: 1, FirstSequence: sequence, NumRecords: 1,
	}
	b := k.AppendTo(nil)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}
