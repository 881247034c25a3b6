// Package moves runs a few nodes in one process, over one etcd and one store, under
// load, and lets partitions move between them: nodes join, leave in each of the ways
// there are, and operators pin. What producers and readers saw is checked, and the
// time that a partition did not take records is told.
//
// It is not the chaos suite (test/chaos), which runs real processes and breaks them.
//
//	producers, paced ──► sdk ──► node a ─┐
//	                        ├──► node b ─┼──► store (memory, or a folder)
//	follower ◄───────────── sdk   node c ─┘      etcd (embedded)
package moves
