// Package journal keeps a state machine in a partition of the log: what changed it
// is appended as events before anybody hears of it, and read again by whoever owns
// the partition next. It knows nothing of what the machine is about, nor of RPC.
//
//	Do ─► queue ─► turn: all commands that wait ─► Settle ─► one append ─► durable ─► answers
//
// One goroutine has the machine. Between turns the machine is what the log says; the
// commands of a turn, also those that change nothing, are answered after its append,
// so no answer rests on what may be lost. After a failed append it is unknown what
// the log says: the journal ends, and the next one loads it anew.
//
// The log, as records; a record's key is one byte:
//
//	1 event ... 1 event, 2 begin, 3 item ... 3 item, 4 end, 1 event ...
//	                     └── a snapshot: the events that make the state ──┘
//
// A snapshot is written when the events since the last one outgrow it, and the log's
// start is moved up to its begin. One without an end, whose writer died, is passed over.
package journal
