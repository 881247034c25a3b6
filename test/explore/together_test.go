package explore

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
)

// TestOwnersTogetherFindTheSame walks at random, and does the same again with
// owners that all run at once over one memory store: they ask, say and find what
// the search, which knows each of them alone, thinks that they do.
func TestOwnersTogetherFindTheSame(t *testing.T) {
	walks := 300
	if underRace {
		walks = 20
	}
	first, steps := rand.Uint64(), 0
	h := newHunt(t, farther)
	for i := range uint64(walks) {
		var events []event
		h.watch = func(e event) { events = append(events, e) }
		h.stroll(first + i)
		require.NoError(t, h.broken())
		synctest.Test(t, func(t *testing.T) { playTogether(t, h, events) })
		steps += len(events)
	}
	t.Logf("%d walks from seed %d on, %d events", walks, first, steps)
}

// stage is where owners run together.
type stage struct {
	t         *testing.T
	bounds    Bounds
	store     *mem.Store
	appenders map[string]storage.Appender
	lives     []*life
	minutes   int
	// asked are all questions that were asked, by their text: what they write
	// differs from what an owner alone writes, by its random salt.
	asked map[string]question
	// answer is what the call that took effect last has to say.
	answer told
}

func playTogether(t *testing.T, h *hunt, events []event) {
	s := &stage{t: t, bounds: h.bounds, store: mem.New(), appenders: map[string]storage.Appender{}, asked: map[string]question{}}
	for i, e := range events {
		s.play(e, fmt.Sprintf("event %d of %d, after:%s", i, len(events), h.steps()))
	}
	for _, l := range s.lives {
		l.end(synctest.Wait)
	}
}

func (s *stage) play(e event, where string) {
	switch e.what {
	case begun:
		l := begin(s.t, s.bounds, s.bounds.role(e.owner, s.minutes > 0))
		s.lives = append(s.lives, l)
		l.settle()
		s.compare(l, e, where)
	case tookEffect:
		s.answer = s.takeEffect(s.asked[e.question.String()], e.told)
		require.Equal(s.t, e.told.failed, s.answer.failed, where)
		require.Equal(s.t, e.told.size, s.answer.size, where)
		require.Equal(s.t, e.told.listing, s.answer.listing, where)
		if e.told.content != nil {
			require.Len(s.t, s.answer.content.bytes, len(e.told.content.bytes), where)
		}
	case wasTold:
		l := s.lives[e.owner]
		if e.question != nil {
			what := told{failed: faulty}
			if e.told.failed != faulty {
				what = s.answer
			}
			for _, w := range l.drop(func(q *question) bool { return q.String() == e.question.String() && q.atOnce == e.question.atOnce }) {
				w.answer(what)
			}
		}
		l.settle()
		s.compare(l, e, where)
	case minutePassed:
		s.minutes++
		<-time.After(minute)
		for _, l := range s.lives {
			l.still = true
		}
	case crashed:
		s.lives[e.owner].end(synctest.Wait)
	}
}

// compare looks whether an owner did what it does alone.
func (s *stage) compare(l *life, e event, where string) {
	var want, got, asks, asksAlone []string
	saidNow, shows := l.did()
	for _, said := range saidNow {
		got = append(got, fmt.Sprint(said))
		if said.what == sealsSegment {
			require.NoError(s.t, s.appenders[said.name].Seal(s.t.Context()), where)
		}
	}
	for _, said := range e.turn.said {
		want = append(want, fmt.Sprint(said))
	}
	require.Equal(s.t, want, got, where)
	require.Equal(s.t, e.turn.shows, shows, where)
	for _, q := range l.asks() {
		s.asked[q.String()] = q
		asks = append(asks, fmt.Sprint(q.String(), q.atOnce))
	}
	for _, q := range e.turn.to.questions {
		asksAlone = append(asksAlone, fmt.Sprint(q.String(), q.atOnce))
	}
	slices.Sort(asks)
	slices.Sort(asksAlone)
	require.Equal(s.t, asksAlone, slices.Compact(asks), where)
}

// takeEffect asks the memory store. The record has nothing of its own to compare.
func (s *stage) takeEffect(q question, alone told) told {
	ctx, id := s.t.Context(), storage.ID{Folder: "explored", Name: q.segment}
	is := told{question: alone.question}
	var err error
	switch q.verb {
	case doCreate:
		var a storage.Appender
		if a, err = s.store.Create(ctx, id, []byte(q.bytes), talos.Sync); err == nil {
			s.appenders[q.segment] = a
		}
	case doAppend:
		done := make(chan error, 1)
		s.appenders[q.segment].Append([]byte(q.bytes), func(err error) { done <- err })
		err = <-done
	case doRecover:
		var info storage.Info
		info, err = s.store.Recover(ctx, id)
		is.size = info.Size
	case doOpen:
		is.content, err = s.read(id)
	case doList:
		var l storage.Listing
		l, err = s.store.List(ctx, id.Folder)
		for i, info := range l.Segments {
			if !info.Sealed {
				l.Segments[i].Size = 0 // may be old, so the explorer leaves it out
			}
		}
		is.listing = &listing{l.Segments}
	case doRemove:
		err = s.store.Remove(ctx, id)
	default:
		return alone
	}
	is.failed = reasonOf(err)
	return is
}

func (s *stage) read(id storage.ID) (*content, error) {
	r, err := s.store.Open(s.t.Context(), id)
	if err != nil {
		return nil, err
	}
	size, err := r.Size(s.t.Context())
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if _, err := r.ReadAt(s.t.Context(), b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return &content{bytes: string(b)}, r.Close()
}

func reasonOf(err error) reason {
	switch {
	case err == nil:
		return noReason
	case errors.Is(err, storage.ErrExists):
		return exists
	case errors.Is(err, storage.ErrNotFound):
		return notFound
	case errors.Is(err, storage.ErrDead):
		return dead
	default:
		return faulty
	}
}
