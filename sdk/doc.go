// Package sdk is the Go client of Talos: topics, a producer and a consumer.
//
// It is not the node, and it keeps nothing: no files, no offsets between runs.
// The life of a record:
//
//	Send ──► buffer (bounded, bytes) ──► the partition's queue
//	                                          │ at once if nothing is in flight,
//	                                          │ otherwise together, when a slot is free
//	                                          ▼
//	              batch: sequence, compression, checksum (talos/batch)
//	                                          │ one stream, up to 5 batches in flight per partition
//	   done(offset) ◄── acknowledged ◄── the node stores it ──► done of each record, in order
//	                                          │
//	                                          ▼
//	   Poll ◄── checked, decompressed ◄── Fetch (long poll), the same bytes
//
// The producer is idempotent: each batch has a producer id and a sequence, and is
// sent again byte for byte until the node has answered, so that every record is
// stored once and in order, through broken connections and restarts of the node.
// Where that can't be known (a delivery that timed out), the error says so; what
// is reported as delivered is durable.
//
// Errors are *talos.Error with a kind out of one table:
// errors.Is(err, talos.UnknownTopic) asks for it.
package sdk
