// Package batch reads, checks, builds and takes apart record batches: Kafka's
// RecordBatch v2, byte for byte.
//
// The encoding is kmsg's (github.com/twmb/franz-go/pkg/kmsg); this package adds
// what Talos demands of a batch. It is not a segment's format: there, whole
// batches lie in frames (storage/segment).
//
//	 0  baseOffset            8   set by the node, not in the checksum
//	 8  batchLength           4   bytes behind this field
//	12  partitionLeaderEpoch  4   set by the node, not in the checksum
//	16  magic                 1   2
//	17  crc                   4   CRC-32C over all that follows
//	21  attributes            2   codec (3 bits), time type, transactional, control
//	23  lastOffsetDelta       4
//	27  baseTimestamp         8   milliseconds
//	35  maxTimestamp          8
//	43  producerId            8   -1: not idempotent
//	51  producerEpoch         2
//	53  baseSequence          4
//	57  records               4   count
//	61  the records, compressed as a whole by the codec
//
// The next offset behind a batch is baseOffset + lastOffsetDelta + 1.
//
// Source: Kafka's protocol documentation, "Record Batch".
package batch
