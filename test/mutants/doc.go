// Package mutants shows that the tests of the partition protocol can fail: it
// breaks one rule of the protocol at a time, in the source as the compiler sees
// it (go test -overlay; the tree stays as it is), and demands that the explorer or
// another named test notices.
//
// A mutant whose text is no longer found in the source fails as well, so that the
// list stays true.
package mutants
