// Package explore drives the real code of package partition through all
// interleavings of a few owners that fight for one partition, step by step,
// over the memory store and a record in memory, and checks after each step what
// Talos promises.
//
// It is not a model beside the code: the owners are partition.Log values. Each of
// their calls to the store and to the record stops at a gate; when all
// goroutines wait (testing/synctest knows), the explorer picks one of the things
// that could happen next:
//
//	a gated call   ─ takes effect and returns
//	               ├ fails without effect
//	               ├ takes effect, and returns an error       (create, swap, raise, append)
//	               └ returns an error, and takes effect later (create, swap, append)
//	a late effect  ─ takes effect now
//	an owner       ─ starts (the partition is assigned to it), or crashes
//
// A run goes on until nothing can happen anymore; then a fresh owner opens the
// partition and reads it. Runs are replayed from the start, choice by choice, and
// a state that was seen before (store, record, what each owner has observed, what
// is pending) is not gone into again. Owners are deterministic given what they
// observed, so that is sound.
//
// Checked after each step: every acknowledged record has one offset and every
// offset one record; what an owner shows agrees with what any owner ever showed;
// an owner that opens under the newest epoch has all that was acknowledged or
// shown before; opening never finds a broken or ambiguous chain.
package explore
