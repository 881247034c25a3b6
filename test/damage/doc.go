// Package damage holds the tests about damaged segments: bytes that flipped, a
// file that is cut, missing, or another one's, found by a partition that is
// opened over them, or served while it happens.
//
// The promises:
//
//   - damage is found, and named by segment and by the position of the frame;
//   - an offset is answered with its own record, or not at all: never with
//     another one, and never with nothing;
//   - whatever lies in other segments, in other partitions, or in the same segment
//     before the damage is read and appended to as before;
//   - what can't be told from an append in flight at a crash is reported, with its
//     length;
//   - nothing is removed, cut or written over because of it.
//
// Which flaw is what, frame by frame, is tested beside package storage/segment.
package damage
