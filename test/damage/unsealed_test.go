package damage_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
)

// unsealed are two sealed segments and one whose owner crashed.
func (s *scene) unsealed() {
	s.t.Helper()
	s.write(0, 2)
	l := s.mustOpen(0)
	s.append(0, l, 4)
	s.crash(0, l)
}

// Each byte of a segment without footer. In all frames but the last it is below
// an offset which a later frame states as acknowledged. The last one may have been
// in flight at a crash where the store does not keep the order: it is dropped, and
// reported with its length. Where the store does, a frame of full length is whole.
func TestEveryFlippedByteOfAnUnsealedSegment(t *testing.T) {
	for name, scene := range map[string]func(*testing.T) *scene{"local": newLocal, "ordered": newMem} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scene(t)
			s.unsealed()
			id := s.segments(0)[2]
			good, frames := s.content(id), s.frames(id)
			last := frames[len(frames)-1]
			require.Equal(t, segment.TypeData, last.Type)
			for pos := range good {
				s.replace(id, flipped(good, pos))
				before := s.files()
				damaged := frameOf(frames, pos)
				requireDamage(t, s.scan(id, func(segment.Frame) error { return nil }), id, damaged.Pos)
				s.tornTails()
				l, err := s.open(0)
				if damaged.Pos < last.Pos || s.store.Traits().OrderedTail {
					requireDamage(t, err, id, damaged.Pos)
					require.Empty(t, s.tornTails())
				} else {
					require.NoError(t, err)
					require.Equal(t, talos.OffsetRange{End: last.Base}, l.Range())
					s.requireReadable(0, l, 0, last.Base)
					s.close(l)
					torn := s.tornTails()
					require.Len(t, torn, 1)
					require.Equal(t, "WARN", torn[0].Level)
					require.Equal(t, id.Name, torn[0].Segment)
					require.Equal(t, last.Pos, torn[0].Position)
					require.Equal(t, last.Size, torn[0].Bytes)
					// Only a damaged header hides that the frame has its full length.
					require.Equal(t, int64(pos) >= last.Pos+headerBytes, torn[0].Ambiguous)
				}
				require.Equal(t, before, s.files())
			}
		})
	}
}

// A last frame that is cut is a torn tail on every store, and never ambiguous.
func TestTornLastFrame(t *testing.T) {
	for name, scene := range map[string]func(*testing.T) *scene{"local": newLocal, "ordered": newMem} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scene(t)
			s.unsealed()
			id := s.segments(0)[2]
			good, frames := s.content(id), s.frames(id)
			last := frames[len(frames)-1]
			for size := last.Pos + 1; size < last.Pos+last.Size; size++ {
				s.replace(id, good[:size])
				before := s.files()
				s.tornTails()
				l := s.mustOpen(0)
				require.Equal(t, talos.OffsetRange{End: last.Base}, l.Range())
				s.requireReadable(0, l, 0, last.Base)
				s.close(l)
				torn := s.tornTails()
				require.Len(t, torn, 1)
				require.Equal(t, size-last.Pos, torn[0].Bytes)
				require.False(t, torn[0].Ambiguous)
				require.Equal(t, before, s.files())
			}
		})
	}
}

// After an ambiguous tail was dropped the log goes on at its offset, in another
// segment: the bytes stay for whoever wants to look at them.
func TestGoingOnBehindAnAmbiguousTail(t *testing.T) {
	s := newLocal(t)
	s.unsealed()
	id := s.segments(0)[2]
	good, frames := s.content(id), s.frames(id)
	last := frames[len(frames)-1]
	s.replace(id, flipped(good, len(good)-1))
	before := s.files()
	s.sent[0] = s.sent[0][:last.Base]
	s.write(0, 1)
	l := s.mustOpen(0)
	s.requireServed(0, l)
	s.close(l)
	after := s.files()
	for path, content := range before {
		require.Equal(t, content, after[path])
	}
}
