// Package hdfs is the store that keeps segments in HDFS: one file of one block
// for each segment, written by a client of its own.
//
// It is not a general HDFS client: no file of several blocks, no append to what
// others wrote, no erasure coding, no Kerberos yet. What is inside of a segment is
// none of its business.
//
//	Store ── Create ──► create, addBlock, head to every DataNode as it connects, fsync
//	      │                       │ Appender (datanode.Writer): fan-out, one
//	      │                       │ connection to each DataNode of the block
//	      │                       ▼
//	      │             Append ... Append, Seal = last packet + complete
//	      ├─ Recover ─► what this store gave up itself: close it on the survivors;
//	      │             else halt the writer, recoverLease, wait for the close;
//	      │             sync, unmark
//	      ├─ Open ────► Reader: ranges of the block from any replica
//	      └─ List, Remove
//
// A segment's life as HDFS shows it:
//
//	under construction, marked ──Seal: complete──► closed, marked ─┐
//	        │                                                      ├─ unmark ─► closed = sealed
//	        ├──recoverLease──► closed, marked ──sync───────────────┤
//	        └──on the survivors: complete──► closed, marked ──sync─┘
//
// What a file holds beyond its acknowledged length when HDFS closes it, for a
// recovery or because its writer's lease ran out, may lie in the memory of the
// DataNodes only. The mark, a bit that means nothing to HDFS on a file, is there
// from the start, and goes when all bytes are known to be synced: after a Seal, or
// after the sync at the end of a recovery. Until then whoever recovers does it.
//
// The packages below: wire (messages), rpc (one connection to a server), namenode
// (typed calls that survive reconnects), datanode (writing and reading a block).
package hdfs
