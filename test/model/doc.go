// Package model holds a partition against a plain list: what was sent to it, what
// it acknowledged, what it ever showed. Whatever crashes, takes over or fails in
// between, the list must agree with what a reader finds.
//
// The promises, each checked at each answer, each reading and each opening:
//
//   - what was acknowledged is at its offset, from then on, for every later owner;
//   - a batch without a good answer is there once at most, and if it was ever
//     readable it stays; sent again by its producer, it gets that offset;
//   - two owners never acknowledge different things at one offset, and an owner
//     acknowledges nothing that a later one does not have;
//   - batches lie one behind the other, byte for byte as they were sent;
//   - a batch that was refused for its sequence, or for a full queue, was not
//     stored by that attempt, and is refused only if the model says so too;
//   - every error has a kind of the table, and never Internal; nothing ever looks
//     like a broken chain or a damaged segment;
//   - the log start is where somebody trimmed to, or beyond what had expired by the
//     time of its append, or by what the partition keeps in bytes.
//
// It knows nothing of segments, epochs and records: those are test/explore's,
// which goes through all interleavings of a few calls. This package draws long
// random histories over every store instead.
//
// Package histories below draws them with pgregory.net/rapid, for the test of this
// package and, over HDFS, for one of test/hdfs. A failure prints the shrunk list of
// steps and the seed; the flag -rapid.seed repeats it. A long run, which prints what
// it covered:
//
//	go test ./test/model -rapid.checks=20000 -rapid.steps=100 -timeout=0 -v
//
// (or RAPID_CHECKS and RAPID_STEPS in the environment).
package model
