// Package loadgen makes load, and measures what becomes of each record: it is what
// `talos bench` and the comparison with other systems in test/bench have in common.
// It knows no system: who uses it hands it senders and receivers. It judges and
// prints nothing.
//
//	Fleet.Leg ── pace (when records are due) ──▶ producers ──▶ Sender
//	    │                                            │ answers
//	    ◀── samples: Produced, Consumed ◀────────────┘
//	                                 tails ◀── Receiver
//
// Open loop: record i of a leg is due at start + i/rate, whatever became of those
// before, and its latency counts from then. A system that stalls for a second so
// shows a second, in all records that were due meanwhile, and not in one alone
// (no coordinated omission). Closed loop: each producer keeps so many records in
// flight, and sends the next one when one is acknowledged; latency counts from
// Send, and says what a load of that depth sees.
package loadgen
