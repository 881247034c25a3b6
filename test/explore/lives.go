package explore

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// moment is a state that an owner can be in: one that has run so far, and waits
// for the answers to its questions. It is known by the way that leads there, so
// what follows is found by letting the real code live that way again, once.
type moment struct {
	id uint32
	// from and told are the last step of the way; a life begins with its role.
	from *moment
	told told
	role role
	// questions are sorted by their text.
	questions []*question
	// opening: it has not opened the partition yet. ended: nothing will ever come of
	// it again.
	opening bool
	ended   bool
	after   map[told]*turn
}

// turn is a step of an owner's: what it did, and where that led.
type turn struct {
	said  []saying
	shows *shown // nil if it shows nothing new
	to    *moment
}

// atOnce returns a question that is answered at once; what the client wishes comes
// last, when the owner is at rest, so that more moments are found to be others.
func (m *moment) atOnce() (first *question) {
	for _, q := range m.questions {
		if q.atOnce && (first == nil || first.verb == askNext) {
			first = q
		}
	}
	return first
}

// lives remembers all moments that were met.
type lives struct {
	t         *testing.T
	bounds    Bounds
	begun     map[role]*turn
	questions map[question]*question
	listings  map[string]*listing
	// resting are the moments of owners at rest, by their fingerprints.
	resting  map[[16]byte]*moment
	ended    *moment
	moments  uint32
	contents uint32
	// runs counts the lives that were lived.
	runs int
	// plain leaves moments apart though they are alike.
	plain bool
	// fault is the first life that went otherwise than before.
	fault error
}

func newLives(t *testing.T, b Bounds) *lives {
	return &lives{
		t: t, bounds: b, begun: map[role]*turn{}, questions: map[question]*question{}, listings: map[string]*listing{},
		resting: map[[16]byte]*moment{}, ended: &moment{ended: true},
	}
}

func (s *lives) begin(r role) *turn {
	if t, ok := s.begun[r]; ok {
		return t
	}
	t := s.live(&moment{role: r}, nil)
	s.begun[r] = t
	return t
}

// tell returns what an owner does at a moment when it is told something.
func (s *lives) tell(m *moment, what told) *turn {
	if t, ok := m.after[what]; ok {
		return t
	}
	t := s.live(m, &what)
	if m.after == nil {
		m.after = map[told]*turn{}
	}
	m.after[what] = t
	return t
}

// live lets an owner live the way to m and one step more; without a step it
// only begins.
func (s *lives) live(m *moment, what *told) (t *turn) {
	s.runs++
	var way []*moment
	for at := m; at != nil; at = at.from {
		way = append(way, at)
	}
	slices.Reverse(way)
	synctest.Test(s.t, func(in *testing.T) {
		if m.role.late {
			<-time.After(minute)
		}
		l := begin(in, s.bounds, m.role)
		defer l.end(synctest.Wait)
		l.settle()
		for i, at := range way {
			if i > 0 {
				l.hear(at.told)
			}
			if i > 0 || what != nil {
				s.compare(l, at)
			}
		}
		l.did()
		if what != nil {
			l.hear(*what)
		} else {
			l.settle()
		}
		t = s.turn(l, m, what)
	})
	return t
}

// minute is what passes, at the most once.
const minute = time.Minute + time.Second

// hear tells the owner something, and waits until it has done what it does.
func (l *life) hear(t told) {
	if t.question == nil {
		<-time.After(minute)
		l.still = true
	} else {
		plain := *t.question
		plain.id = 0
		for _, w := range l.drop(func(q *question) bool { return *q == plain }) {
			w.answer(t)
		}
	}
	l.settle()
}

// settle waits until the owner waits.
func (l *life) settle() {
	synctest.Wait()
	l.look()
	synctest.Wait()
}

// compare makes sure that the owner asks what it asked when it lived this way
// before: that it depends on nothing but what it was told.
func (s *lives) compare(l *life, m *moment) {
	if m.questions == nil {
		return
	}
	if now := s.asked(l); !slices.Equal(now, m.questions) && s.fault == nil {
		s.fault = fmt.Errorf("not deterministic: an owner asks %v, and asked %v before", now, m.questions)
	}
}

// asked lists the owner's questions; of the appends to one segment only the first.
func (s *lives) asked(l *life) []*question {
	var all []*question
	for _, q := range l.asks() {
		q := s.one(q)
		if i := slices.IndexFunc(all, func(o *question) bool {
			return q.verb == doAppend && o.verb == doAppend && o.segment == q.segment
		}); i < 0 {
			all = append(all, q)
		} else if q.nth < all[i].nth {
			all[i] = q
		}
	}
	slices.SortFunc(all, func(a, b *question) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}

func (s *lives) one(q question) *question {
	if known, ok := s.questions[q]; ok {
		return known
	}
	kept := q
	kept.id = uint32(len(s.questions)) + 1
	s.questions[q] = &kept
	return &kept
}

// turn writes down what the owner has just done.
func (s *lives) turn(l *life, from *moment, what *told) *turn {
	t := &turn{}
	t.said, t.shows = l.did()
	over := l.openErr != nil || (l.log != nil && l.log.Err() != nil && l.client.gone)
	questions := s.asked(l)
	if over && len(questions) == 0 && !l.looking {
		t.to = s.ended
		return t
	}
	var key [16]byte
	atRest := !s.plain && l.atRest(questions)
	if atRest {
		var err error
		if key, err = l.fingerprint(questions); err != nil {
			s.fault = cmp.Or(s.fault, err)
		}
		if known := s.resting[key]; known != nil {
			t.to = known
			return t
		}
	}
	s.moments++
	t.to = &moment{id: s.moments, role: l.role, questions: questions, opening: l.log == nil}
	if what != nil {
		t.to.from, t.to.told = from, *what
	}
	if atRest {
		s.resting[key] = t.to
	}
	return t
}

// add returns the content that bytes make behind c.
func (s *lives) add(c *content, bytes string) *content {
	if next, ok := c.after[bytes]; ok {
		return next
	}
	s.contents++
	next := &content{id: s.contents, bytes: c.bytes + bytes}
	if c.after == nil {
		c.after = map[string]*content{}
	}
	c.after[bytes] = next
	return next
}
