// Package segment is the format of a segment's bytes: it encodes them, and
// reads and checks them over a ranged reader.
//
// It is not a store (package storage is the contract of those), holds no
// goroutine, opens and appends nothing itself, and knows one segment only: the
// chain of segments is package partition's. docs/format/segment.md is the
// normative description; this is its outline.
//
// A segment is a sequence of frames:
//
//	header frame   identity, producer snapshot as of the base offset
//	data frame     whole record batches (package batch), one frame per append
//	...
//	checkpoint     producer snapshot, sparse index since the last checkpoint
//	data frame
//	...
//	footer frame   whole index, producer snapshot at the end; only when sealed
//
// A frame, all integers big-endian:
//
//	 0  magic           4   "TLS1"
//	 4  type            1   1 header, 2 data, 3 checkpoint, 4 footer
//	 5  version         1   of this type's payload: 1
//	 6  flags           2   bit 0: who does not know the type must refuse
//	 8  payload length  4
//	12  salt            8   random per segment
//	20  position        8   of this frame in the segment
//	28  acknowledged    8   offsets below were acknowledged when it was written
//	36  append time     8   milliseconds; never decreases
//	44  checkpoint      8   newest acknowledged checkpoint frame; 0: none
//	52  base offset     8
//	60  next offset     8
//	68  header CRC-32C  4   over bytes 0 to 67
//	72  payload
//	    frame length    4   whole frame, so that the last one is found from the end
//	    frame CRC-32C   4   over header, payload and frame length
//
// Salt and position bind a frame to its place: records may contain frames of
// Talos, even copies of this segment's, without being mistaken for them.
package segment
