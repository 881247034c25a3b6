package history

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/talos-log/talos/talos"
)

// AnomalyKind names a way in which a log can be wrong.
type AnomalyKind string

// The anomalies. The names are Jepsen's where it has one.
const (
	// LostWrite: an acknowledged record is missing though a later one was read.
	LostWrite AnomalyKind = "lost-write"
	// Unseen: an acknowledged record beyond all that the final reader got.
	Unseen AnomalyKind = "unseen"
	// Duplicate: one record at two places.
	Duplicate AnomalyKind = "duplicate"
	// InconsistentOffsets: two records at one place, as acknowledged or read.
	InconsistentOffsets AnomalyKind = "inconsistent-offsets"
	// NonmonotonicSend: a producer's records are not in the order of its sending.
	NonmonotonicSend AnomalyKind = "int-nonmonotonic-send"
	// NonmonotonicPoll: a reader got an offset at or below one that it had.
	NonmonotonicPoll AnomalyKind = "nonmonotonic-poll"
	// PollSkip: a reader was led past an offset.
	PollSkip AnomalyKind = "poll-skip"
	// Disappeared: a record that some reader got is not there for the final one.
	Disappeared AnomalyKind = "disappeared"
	// Changed: a record's content is not what was sent.
	Changed AnomalyKind = "changed"
	// Phantom: a record that nobody sent was read or acknowledged.
	Phantom AnomalyKind = "phantom"
	// RealTime: a record was sent after another had been acknowledged, and lies
	// before it.
	RealTime AnomalyKind = "realtime-order"
	// TwoOwners: owners of different epochs acknowledged at one offset, or the one
	// of the older epoch at the higher offset.
	TwoOwners AnomalyKind = "two-owners"
	// TrimmedTooFar: a partition starts behind all that anybody wanted.
	TrimmedTooFar AnomalyKind = "trimmed-too-far"
	// DeposedOwner: an owner acknowledged a record that was sent after an owner of a
	// newer epoch had been heard.
	DeposedOwner AnomalyKind = "deposed-owner"
	// AbortedRead: a record was read that had certainly not been stored.
	AbortedRead AnomalyKind = "aborted-read"
	// OffsetsWentBack: the start or the end of a partition was lower than it had been.
	OffsetsWentBack AnomalyKind = "offsets-went-back"
	// Unanswered: a record got neither acknowledgement nor error.
	Unanswered AnomalyKind = "unanswered"
	// AnsweredTwice: a record got two answers.
	AnsweredTwice AnomalyKind = "answered-twice"
	// SendFailed: a record got an error.
	SendFailed AnomalyKind = "send-failed"
	// Misuse: the test that recorded the history is wrong.
	Misuse AnomalyKind = "misuse"
)

// Anomaly is one thing that must not be.
type Anomaly struct {
	Kind AnomalyKind
	Text string
}

// String returns "kind: text".
func (a Anomaly) String() string { return string(a.Kind) + ": " + a.Text }

// maxShown bounds how many anomalies of one kind Report spells out.
const maxShown = 5

// Report says how many anomalies of each kind there are, and shows a few.
func Report(all []Anomaly) string {
	count := map[AnomalyKind]int{}
	var shown strings.Builder
	for _, a := range all {
		count[a.Kind]++
		if count[a.Kind] <= maxShown {
			shown.WriteString("\n  " + a.String())
		}
	}
	var head []string
	for _, k := range slices.Sorted(maps.Keys(count)) {
		head = append(head, fmt.Sprintf("%d %s", count[k], k))
	}
	return strings.Join(head, ", ") + shown.String()
}

// Check returns all anomalies. final names the reader that read everything at
// the end, after the last record had its answer. Sending must not have failed.
func (h *History) Check(final string) []Anomaly {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &checker{
		history: h, anomalies: slices.Clone(h.misuse),
		at: map[position]ID{}, where: map[ID]position{}, final: map[position]ID{}, finalEnd: map[int32]talos.Offset{},
	}
	c.checkAnswers()
	for _, reader := range slices.Sorted(maps.Keys(h.reads)) {
		c.checkReader(reader, h.reads[reader])
	}
	for _, r := range h.reads[final] {
		c.final[r.position] = r.id
		c.finalEnd[r.partition] = max(c.finalEnd[r.partition], r.offset+1)
	}
	c.checkFinal(final)
	c.checkRanges(final)
	c.checkOrder()
	c.checkOwners()
	return c.anomalies
}

// checker is one run of Check.
type checker struct {
	history   *History
	anomalies []Anomaly
	// at and where are all places of records, as acknowledged or read by anybody.
	at    map[position]ID
	where map[ID]position
	// final is what the final reader got, finalEnd where that ends by partition.
	final    map[position]ID
	finalEnd map[int32]talos.Offset
}

func (c *checker) found(kind AnomalyKind, format string, args ...any) {
	c.anomalies = append(c.anomalies, Anomaly{kind, fmt.Sprintf(format, args...)})
}

// place notes that a record was seen somewhere.
func (c *checker) place(id ID, p position, by string) {
	if other, ok := c.at[p]; ok && other != id {
		c.found(InconsistentOffsets, "%v holds %v, and %v according to %s", p, other, id, by)
	}
	if other, ok := c.where[id]; ok && other != p {
		c.found(Duplicate, "%v is at %v, and at %v according to %s", id, other, p, by)
	}
	c.at[p], c.where[id] = id, p
}

func (c *checker) checkAnswers() {
	for _, s := range c.history.sends {
		switch s.outcome {
		case acked:
			c.place(s.id, s.ack.position(), "its acknowledgement")
		case unanswered:
			c.found(Unanswered, "%v", s.id)
		case failed:
			c.found(SendFailed, "%v: %v", s.id, s.err)
		case unknown, refused: // as may be
		}
	}
}

// checkReader follows one reader through all that it got.
func (c *checker) checkReader(name string, reads []read) {
	next := map[int32]talos.Offset{}
	for _, r := range reads {
		want := next[r.partition]
		switch {
		case r.offset < want:
			c.found(NonmonotonicPoll, "%s got %v after offset %d", name, r.position, want-1)
		case r.offset > max(want, c.history.trims[r.partition]):
			c.found(PollSkip, "%s got %v instead of offset %d", name, r.position, want)
		}
		next[r.partition] = r.offset + 1

		s := c.history.byID[r.id]
		switch {
		case s == nil:
			c.found(Phantom, "%s got %v at %v, which was never sent", name, r.id, r.position)
		case s.digest != r.digest:
			c.found(Changed, "%s got %v at %v with other content than was sent", name, r.id, r.position)
		case s.outcome == refused:
			c.found(AbortedRead, "%s got %v at %v, which was refused: %v", name, r.id, r.position, s.err)
		case s.partition != r.partition:
			c.found(InconsistentOffsets, "%s got %v at %v, it was sent to partition %d", name, r.id, r.position, s.partition)
		}
		c.place(r.id, r.position, name)
	}
}

// checkFinal makes sure that the final reader got whatever was promised before.
func (c *checker) checkFinal(final string) {
	for _, s := range c.history.sends {
		if s.outcome != acked {
			continue
		}
		p := position{s.partition, s.ack.Offset}
		if id, ok := c.final[p]; ok && id == s.id || !ok && c.trimmed(p) {
			continue
		}
		if p.offset < c.finalEnd[s.partition] {
			c.found(LostWrite, "%v was acknowledged at %v, %s did not get it there", s.id, p, final)
		} else {
			c.found(Unseen, "%v was acknowledged at %v, %s ended before", s.id, p, final)
		}
	}
	for _, reader := range slices.Sorted(maps.Keys(c.history.reads)) {
		for _, r := range c.history.reads[reader] {
			if id, ok := c.final[r.position]; ok && id != r.id || !ok && !c.trimmed(r.position) {
				c.found(Disappeared, "%s got %v at %v, %s did not", reader, r.id, r.position, final)
			}
		}
	}
}

// trimmed tells whether a place may be gone.
func (c *checker) trimmed(p position) bool { return p.offset < c.history.trims[p.partition] }

// checkOrder looks at each partition's records in the order of their offsets,
// wherever they are known from.
func (c *checker) checkOrder() {
	byPartition := map[int32][]position{}
	for p := range c.at {
		byPartition[p.partition] = append(byPartition[p.partition], p)
	}
	for _, partition := range slices.Sorted(maps.Keys(byPartition)) {
		places := byPartition[partition]
		slices.SortFunc(places, func(a, b position) int { return int(a.offset - b.offset) })
		c.checkProducers(places)
		c.checkRealTime(places)
	}
}

func (c *checker) checkProducers(places []position) {
	last := map[int]position{}
	for _, p := range places {
		id := c.at[p]
		if s := c.history.byID[id]; s != nil && s.outcome == unknown {
			continue // it may still have been on its way when its producer went on
		}
		before, ok := last[id.Producer]
		if ok && c.at[before].Sequence >= id.Sequence {
			c.found(NonmonotonicSend, "%v at %v lies before %v at %v", c.at[before], before, id, p)
		}
		last[id.Producer] = p
	}
}

// checkRealTime walks back from the end: whatever lies behind a record must not
// have been acknowledged before that record was sent.
func (c *checker) checkRealTime(places []position) {
	earliest := never
	var by ID
	for _, p := range slices.Backward(places) {
		s := c.history.byID[c.at[p]]
		if s == nil {
			continue
		}
		if s.sent > earliest {
			c.found(RealTime, "%v at %v was sent after %v was acknowledged, and lies before it", s.id, p, by)
		}
		if s.outcome == acked && s.ended < earliest {
			earliest, by = s.ended, s.id
		}
	}
}
