// Package schedule decides which node should own which partition. It is a pure
// function from what the cluster looks like to the steps that come next: no I/O, no
// clock, no memory. The same State gives the same Plan.
//
// It does not write assignments, elect who plans, or know etcd: that is package
// coordinator. Nor does it decide who may acknowledge: that is the epoch.
//
// A partition, as the steps change it:
//
//	            Place               Move                  (the owner hands over)
//	nobody ────────────► owned by A ──────► A, then to B ───────────────► owned by B
//	                       ▲  │ A is gone    │ │ A is gone, or takes too long ▲
//	                       │  │ Force        │ └──────────── Force ───────────┘
//	                       │  ▼              │ B is gone, or not wanted
//	                   owned by B            └─ Cancel ─► owned by A
//
// # Which node
//
// What may stay stays. A partition without an owner goes to its home on a
// consistent-hash ring over the nodes that can take some (bounded loads), unless
// that has its share already; then to the node with the fewest. A node that joins
// gets its share and no more, of partitions at home there first; what a node leaves
// behind is all that moves when it goes.
//
// Numbers of partitions are balanced to within one, pins aside. Load is fed back on
// top: a hot partition changes places with a cold one, a few in a while, and only if
// the hottest node carries clearly more than the average.
//
// # In which order
//
//  1. Partitions whose owner is gone: all, at once. None of an owner that is away for
//     a restart, until its time is over.
//  2. Handovers to nodes that are gone end; handovers that take too long are forced.
//  3. Then, as far as Limits allow: nodes that drain or can't reach their store, pins,
//     balance, load.
package schedule
