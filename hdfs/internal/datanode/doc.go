// Package datanode speaks the data transfer protocol (version 28) with the
// DataNodes of one block: it writes a block (Writer) and reads one (Reads). It
// knows nothing of files, leases or the NameNode, and does not recover a block: a
// Writer that failed is dead for good, and what to do then is its caller's matter.
//
// # Writing
//
// A Writer is a fan-out: one connection to each DataNode, each the only member of
// its own pipeline, so that each acknowledgement is that of a DataNode which has
// the bytes (in a chain, all but the last acknowledge before they write). What the
// caller appends is cut into packets once; all connections send the same ones.
//
//	Append ─▶ queue of packets ─┬─▶ sender ─▶ DataNode ─▶ reader ─┐  min of all:
//	          (shared, in order)├─▶ sender ─▶ DataNode ─▶ reader ─┼─▶ done
//	                            └─▶ sender ─▶ DataNode ─▶ reader ─┘
//
// A block's first append goes out with the operation that opens the block.
//
// States: alive (appends are sent) ─ Finish ─▶ over; alive ─ any failure, lagging
// DataNode or Abandon ─▶ over. Nothing leads back. After a failure, the DataNodes
// that are not to blame get what was queued before, for a moment, so that they have
// replicas of one length (Survivors); none of that is acknowledged to the caller.
//
// Invariants:
//
//  1. An append is acknowledged when every DataNode has acknowledged its last
//     packet, in the order of the packets, without a gap.
//  2. Nothing is acknowledged after Dead is closed but what Acknowledged counts.
//  3. When done is called, nobody uses the caller's bytes anymore: an
//     acknowledgement counts once the write it answers has returned, and failures
//     are told when the senders have stopped.
//  4. A packet with data begins on a chunk's edge: the bytes of a partial chunk are
//     sent again with those that follow them. DataNodes store a wrong checksum
//     without complaint for one that begins inside of a chunk and crosses its end.
//  5. A packet that asks for a sync is alone on its connection: all before it are
//     acknowledged, and nothing follows until it is. See cut for the reason.
//
// # Reading
//
// Reads reads ranges of any block, over connections that are kept for the next
// read for a moment. A large range is split, and its parts are read at once:
//
//	ReadAt ─┬─▶ part ─▶ first replica ─ fails ─▶ next replica ─▶ ... ─▶ ReplicasError
//	        ├─▶ part ─▶ first replica ─ whole ─▶ verified bytes
//	        └─▶ part ...
//
// A part comes from one replica whole or not at all. A connection that breaks
// before it answers, and served a read before, was closed for being idle: the same
// replica is asked again over a new one. Any other failure counts against the
// replica or its DataNode, which then come last for a while.
//
// Invariants:
//
//  1. Every byte that is returned was checked against the checksum of its chunk,
//     whatever else is in that chunk.
//  2. Nobody writes to the caller's bytes once ReadAt has returned.
//  3. A connection is used again only if the range that it served is over on both
//     sides.
//
// VisibleLength tells how much of a block that is still being written can be read.
//
// # Ending somebody else's writer
//
// Halt ends the writer of a block on all DataNodes, so that the replicas are fit for
// a recovery. It is a courtesy: that the writer acknowledges nothing anymore is
// for the recovery.
package datanode
