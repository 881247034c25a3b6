// Package groups is the state machine of the consumer groups of one coordinator:
// who is a member, what each should read, what each reads, and what is committed.
// It does no I/O, has no clock and no goroutine: a command changes the state and
// leaves events, which a journal stores before anybody hears of the change; the
// same events, applied in order, make the same state elsewhere.
//
// A partition goes from one member to another in two steps:
//
//	            target            assigned of A    revoking of A    assigned of B
//	at first    A                 x
//	Settle      B                                  x                              A's epoch grows
//	A hears of it, stops, commits, and states with that epoch that it owns less
//	Settle      B                                                   x             B's epoch grows
//
// Invariants:
//
//   - A partition is assigned to, or being revoked from, one member at a time.
//   - A member's epoch grows with each change of what it is assigned. Only a
//     heartbeat with the newest one gives a partition up: the member has seen that it
//     must, and will not begin to read it.
//   - A member that is silent for its session, or does not give up in its time, is
//     taken out; by then it has stopped by itself.
//   - What a member keeps is neither taken nor given anew.
//
// Sessions are not stored: after loading, each member has a whole one, and
// ConfirmFresh more, in which the coordinator before may have answered it.
package groups
