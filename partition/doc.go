// Package partition is one partition's log: open, append with group commit,
// roll, read, recover, and the state that makes producers idempotent.
//
// It knows neither RPC nor etcd: it stands on a storage.Store and on Records, a
// small interface to the partition record. It does not decide who owns the
// partition; it makes sure that nobody acknowledges anything who does not.
//
// The life of a Log:
//
//	Open: raise epoch ─► list ─► recover the chain's segments ─► load the tail
//	                                                             │
//	         first append, or size or age reached                ▼
//	       ┌──────────────► create number tail+1 ──┐          serving
//	       │                swap tail              │ appends     │
//	  no segment                                   ▼             │ deposed,
//	       ▲          seal (roll, idle, Close)  segment          │ or Close
//	       └──────────────────────────────────────┤              ▼
//	       └── abandon, recover in the background ─┘ failed     ended
//
// Invariants, each relied upon elsewhere:
//
//  1. A batch is acknowledged only after its append was durable in a segment
//     whose number the record's tail had reached under the own epoch.
//  2. A segment's name is tried once. After a failed or ambiguous create or swap
//     the epoch is raised first, and with a jump by more than one the log ends:
//     somebody else has owned the partition.
//  3. The chain is, from the record's start to its tail, the segment with the
//     highest epoch for each number, valid up to the next one's base.
//  4. A segment's base is the acknowledged end at its creation; what was not
//     acknowledged is sent again into it, with the same offsets.
//  5. Readers see offsets below the acknowledged end only.
//
// One goroutine, run, owns everything that changes; readers use the immutable
// view that it publishes.
package partition
