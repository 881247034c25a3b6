// Package failpoint makes a node kill itself at a chosen step, and shows from
// outside whether an append is in flight: for the build of the program with the
// tag failpoints, which only tests run.
//
// It injects no errors (storage/faulty does); a process that dies at a point is
// all it knows. In a normal build nothing of it is linked.
//
//	TALOS_FAILPOINT=create:after:2     SIGKILL after the 2nd create of a segment
//	TALOS_APPEND_GAUGE=<file>          counts appends issued and completed there
//
// A point's place is an operation, when, and its number from 1 on, counted since
// the process started:
//
//	list recover open create append seal   of the store, for a partition's folder
//	manifest-create, manifest-seal, …      the same for a topic's folder
//	raise swap load                        of a partition's record
//
//	before   the operation was not begun
//	half     create and append alone: half of the bytes were handed to the store
//	after    it was done, and nobody was told
package failpoint
