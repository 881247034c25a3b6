// Package explore drives the real code of package partition through all
// interleavings of a few owners that fight for one partition, step by step, and
// checks after each step what Talos promises.
//
// It is not a model beside the code: the owners are partition.Log values. Each of
// them lives alone, in a bubble of testing/synctest, and each of its calls to the
// store and to the record becomes a question that waits for an answer. What it
// does when it is told something is remembered, so the real code runs each life
// once, however often it occurs beside others:
//
//	hunt ── situation: record, segments, late effects, promises ── moves ─► situation
//	             │ one seat for each owner
//	             ▼
//	lives ── moment: what the owner waits for ── told an answer ─► turn: what it did,
//	             ▲                                                 and the next moment
//	life ── a real partition.Log that is led along a way of answers, once
//
// In a situation one of these moves is next:
//
//	a question     ─ takes effect and returns
//	               ├ fails without effect
//	               ├ takes effect, and returns an error       (create, swap, raise, append)
//	               └ returns an error, and takes effect later (create, swap, append)
//	a late effect  ─ takes effect now
//	an owner       ─ starts (the partition is assigned to it), or crashes
//	a minute       ─ passes, for all
//
// When nothing can happen anymore, a fresh owner opens the partition and reads it.
// The segments and the record are a few lines (effects.go) that do what the memory
// store does, which TestOwnersTogetherFindTheSame makes sure of.
//
// Fewer situations are gone through than there are, in four ways. One that was met
// before with no more used of the bounds is left. Two moments of an owner at rest
// with the same fingerprint are one (fingerprint.go). Owners in the same moment can
// trade places. A call of which it is settled what it does goes first (reduce.go).
// TestNothingIsMissed compares with a search that does without the second and the
// last.
//
// Checked after each step: every acknowledged record has one offset and every
// offset one record; what an owner shows agrees with what any owner ever showed;
// an owner that opens under the newest epoch has all that was acknowledged or
// shown before; opening never finds a broken or ambiguous chain; no name is tried
// twice; what is removed does not count, and goes behind what it had made garbage.
package explore
