package damage_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
)

// Each byte of a sealed segment: of one in the middle of the chain, and of the
// newest, which opening reads.
func TestEveryFlippedByteOfASealedSegment(t *testing.T) {
	for name, i := range map[string]int{"in the middle": 1, "newest": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLocal(t)
			s.write(0, 3)
			id := s.segments(0)[i]
			good, frames := s.content(id), s.frames(id)
			require.Equal(t, segment.TypeFooter, frames[len(frames)-1].Type)
			for pos := range good {
				s.replace(id, flipped(good, pos))
				before := s.files()
				damaged := frameOf(frames, pos)
				requireDamage(t, s.scan(id, func(segment.Frame) error { return nil }), id, damaged.Pos)
				l, err := s.open(0)
				if i == 2 && damaged.Type == segment.TypeHeader {
					requireDamage(t, err, id, damaged.Pos)
				} else {
					require.NoError(t, err)
					s.requireOnlyDamaged(l, id, frames, damaged)
					s.close(l)
				}
				require.Equal(t, before, s.files())
			}
			t.Logf("%d bytes flipped", len(good))
		})
	}
}

// requireOnlyDamaged wants that all can be read but for the damaged frame, and
// what lies behind it in its segment, which then is refused, but never wrong.
func (s *scene) requireOnlyDamaged(l *partition.Log, id storage.ID, frames []segment.Frame, damaged segment.Frame) {
	s.t.Helper()
	require.Equal(s.t, talos.OffsetRange{End: talos.Offset(len(s.sent[0]))}, l.Range())
	end := frames[len(frames)-1].Next
	for o := range talos.Offset(len(s.sent[0])) {
		err := s.read(0, l, o)
		switch {
		case o < damaged.Base || o >= end || damaged.Type == segment.TypeFooter:
			require.NoError(s.t, err, "offset %d", o)
		case o < damaged.Next || err != nil:
			requireDamage(s.t, err, id, damaged.Pos)
		}
	}
}

// A sealed segment that was cut, at each length, and is not the newest: what it
// should have is known from the next one.
func TestTruncatedSegment(t *testing.T) {
	t.Parallel()
	s := newLocal(t)
	s.write(0, 3)
	id := s.segments(0)[1]
	good, frames := s.content(id), s.frames(id)
	footer := frames[len(frames)-1]
	for size := range good {
		s.replace(id, good[:size])
		before := s.files()
		cut := frameOf(frames, size)
		l := s.mustOpen(0)
		for o := range talos.Offset(len(s.sent[0])) {
			err := s.read(0, l, o)
			if in := o >= frames[0].Base && o < footer.Next; !in || cut.Type == segment.TypeFooter {
				require.NoError(t, err, "offset %d of a segment cut to %d bytes", o, size)
			} else {
				requireDamage(t, err, id, cut.Pos)
			}
		}
		s.close(l)
		require.Equal(t, before, s.files())
	}
}

// Another segment's bytes under a segment's name: of another partition with the
// same history, and so the same names, or of the same partition.
func TestForeignSegment(t *testing.T) {
	s := newLocal(t)
	s.write(0, 3)
	s.write(1, 3)
	own, others := s.segments(0), s.segments(1)
	require.Equal(t, own[1].Name, others[1].Name)
	first := talos.Offset(len(s.sent[0]) / 3)
	for name, foreign := range map[string]storage.ID{"another partition": others[1], "another segment": own[0]} {
		t.Run(name, func(t *testing.T) {
			good := s.content(own[1])
			s.replace(own[1], s.content(foreign))
			before := s.files()
			l := s.mustOpen(0)
			for o := first; o < 2*first; o++ {
				err := s.read(0, l, o)
				require.ErrorIs(t, err, talos.CorruptSegment)
				require.ErrorContains(t, err, own[1].String())
			}
			s.requireReadable(0, l, 0, first)
			s.requireReadable(0, l, 2*first, 3*first)
			s.close(l)
			require.Equal(t, before, s.files())
			s.replace(own[1], good)
		})
	}
	// As the newest one, it can't even be opened.
	for _, foreign := range []storage.ID{others[2], own[1]} {
		s.replace(own[2], s.content(foreign))
		_, err := s.open(0)
		require.ErrorIs(t, err, talos.CorruptSegment)
		require.ErrorContains(t, err, own[2].String())
		require.ErrorContains(t, err, "its header says that it is")
	}
	l := s.mustOpen(1)
	s.requireServed(1, l)
	s.close(l)
}
