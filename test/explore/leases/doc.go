// Package leases goes through orders of what two nodes and etcd do around the end of
// a session: the election of the scheduler, assignments, raises, and the appends of
// an owner that has not heard that it is none any more.
//
// The nodes are coordinator.Meta and partition.Log values over coordinator/mem and
// storage/mem, in a bubble of testing/synctest. Each transaction, each word of the
// watch, each create, append and recovery waits until it is chosen, and so does the
// end of a session at etcd, at any moment, whatever its node believes: a node that
// goes on is one that was frozen. It is not package explore, which knows all of what
// a log may be told but has assignments fall from the sky, nor test/simulate, which
// draws its faults.
//
// By default the oldest thing goes first. A search goes through all runs that differ
// from that in at most so many choices: another thing goes first, one is held back
// until nothing else can happen, or all of a node is. Each run is made anew, from the
// start.
//
// Checked: only the scheduler of that moment, or an owner that hands over, changes an
// assignment; only the registered owner of that moment raises the epoch; everything
// that was acknowledged is there in the end, once, at its offset.
package leases
