package damage_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
)

// Damage comes while two partitions are served. The other one does not notice;
// the damaged one goes on with all but the damaged segment, and takes appends.
func TestDamageWhileServing(t *testing.T) {
	s := newLocal(t)
	s.write(0, 3)
	s.write(1, 3)
	third := talos.Offset(len(s.sent[0]) / 3)
	ids := s.segments(0)
	for i, id := range ids {
		for _, loaded := range []bool{false, true} {
			t.Run(fmt.Sprintf("segment %d, loaded before: %v", i+1, loaded), func(t *testing.T) {
				good, from := s.content(id), talos.Offset(i)*third
				first := s.frames(id)[1]
				damaged, other := s.mustOpen(0), s.mustOpen(1)
				if loaded {
					s.requireReadable(0, damaged, from, from+third)
				}
				s.replace(id, flipped(good, int(first.Pos+headerBytes)))
				before := s.files()
				requireDamage(t, s.read(0, damaged, from), id, first.Pos)
				s.requireServed(1, other)
				end := talos.Offset(len(s.sent[0]))
				s.append(0, damaged, 1)
				s.requireReadable(0, damaged, 0, from)
				s.requireReadable(0, damaged, from+third, end+1)
				requireDamage(t, s.read(0, damaged, from), id, first.Pos)
				s.close(damaged)
				s.close(other)
				s.requireKept(before)
				s.replace(id, good)
			})
		}
	}
	for p := range s.topic.Partitions {
		l := s.mustOpen(p)
		s.requireServed(p, l)
		s.close(l)
	}
}

// A newest segment whose header is damaged keeps its partition closed, that one
// alone, and until it is mended: each attempt ends the same way.
func TestPartitionThatCantBeOpened(t *testing.T) {
	s := newLocal(t)
	s.write(0, 3)
	s.write(1, 3)
	id := s.segments(0)[2]
	good := s.content(id)
	s.replace(id, flipped(good, 0))
	before := s.files()
	for range 3 {
		_, err := s.open(0)
		requireDamage(t, err, id, 0)
		l := s.mustOpen(1)
		s.requireServed(1, l)
		s.close(l)
	}
	s.requireKept(before)
	s.replace(id, good)
	l := s.mustOpen(0)
	s.requireServed(0, l)
	s.close(l)
}

// A segment of the chain that is not there is named by its number. Once it is
// back, all is as it was.
func TestMissingSegment(t *testing.T) {
	for i := range 3 {
		t.Run(fmt.Sprintf("number %d", i+1), func(t *testing.T) {
			s := newLocal(t)
			s.write(0, 3)
			s.write(1, 3)
			path := s.path(s.segments(0)[i])
			aside := t.TempDir() + "/aside"
			require.NoError(t, os.Rename(path, aside))
			before := s.files()
			_, err := s.open(0)
			require.ErrorIs(t, err, talos.BrokenChain)
			require.ErrorContains(t, err, talos.PartitionID{Topic: s.topic.ID}.String())
			require.ErrorContains(t, err, fmt.Sprintf("segment number %d is missing", i+1))
			require.Equal(t, before, s.files())
			other := s.mustOpen(1)
			s.requireServed(1, other)
			s.close(other)
			s.requireKept(before)
			require.NoError(t, os.Rename(aside, path))
			l := s.mustOpen(0)
			s.requireServed(0, l)
			s.close(l)
		})
	}
}

// A segment that vanishes while its partition is served is missed by those alone
// who read it.
func TestSegmentVanishesWhileServing(t *testing.T) {
	s := newLocal(t)
	s.write(0, 3)
	third := talos.Offset(len(s.sent[0]) / 3)
	l := s.mustOpen(0)
	id := s.segments(0)[1]
	require.NoError(t, os.Remove(s.path(id)))
	for o := third; o < 2*third; o++ {
		err := s.read(0, l, o)
		require.ErrorIs(t, err, talos.BrokenChain)
		require.ErrorContains(t, err, id.String())
	}
	s.requireReadable(0, l, 0, third)
	s.append(0, l, 1)
	s.requireReadable(0, l, 2*third, talos.Offset(len(s.sent[0])))
	s.close(l)
}

// requireKept wants each file that was there, with the same bytes; new ones may
// have come.
func (s *scene) requireKept(before map[string]string) {
	s.t.Helper()
	after := s.files()
	for path, content := range before {
		require.Contains(s.t, after, path)
		require.Equal(s.t, content, after[path])
	}
}
