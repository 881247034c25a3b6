// Package sdk is the Go client of Talos: a producer, a consumer, and the calls of
// an administrator.
//
// It is not the node, and it keeps nothing: no files, no offsets between runs. For
// tests, package sdk/fake runs the real node in the process. The life of a record:
//
//	Send ──► Partitioner, unless the caller chose ──► buffer (bounded, bytes)
//	                                          │
//	                                          ▼ the partition's queue
//	                                          │ at once if nothing is in flight,
//	                                          │ otherwise together, when a slot is free
//	                                          ▼
//	              batch: sequence, compression, checksum (talos/batch)
//	                                          │ the owner's stream, up to 5 batches in flight per partition
//	   done(offset) ◄── acknowledged ◄── the node stores it ──► done of each record, in order
//	                                          │
//	                                          ▼
//	   Poll ◄── checked, decompressed ◄── Fetch (long poll) of each owner, the same bytes
//
// The producer is idempotent: each batch has a producer id and a sequence, and is
// sent again byte for byte until the node has answered, so that every record is
// stored once and in order, through broken connections and restarts of the node.
// Where that can't be known (a delivery that timed out), the error says so; what
// is reported as delivered is durable.
//
// A client goes to the nodes that own partitions. It learns owners from metadata,
// which any node answers, and moves from the NotOwner of a node that is no longer
// one: that names the owner, or metadata is asked again. Requests carry the highest
// epoch that was seen, so that a deposed owner knows it is one. While a partition
// moves, its batches are on one stream at a time, in order.
//
// Client and node find out at the start whether they understand each other: a
// release works with the one before and the one after, both ways
// (docs/compatibility.md); others are refused as Incompatible.
//
// Errors are *talos.Error with a kind out of one table:
// errors.Is(err, talos.UnknownTopic) asks for it.
package sdk
