// Package history records what producers sent, what was acknowledged and what
// consumers read, and checks whether a log can have behaved like that.
//
// It is not a workload (test/load makes one) and starts nothing. The checks are
// those of Jepsen's Kafka workload as far as they apply, and a few stricter ones
// that Talos promises.
//
//	Send ──► Acked | Failed | Unknown | Refused     Read, Range: by a named reader,
//	   │                                            in its order
//	   └───────────────┬──────────────────────────────┘
//	                   ▼
//	         Check(final reader) ──► anomalies
//
// Every event has a tick of one counter, so "before" and "after" mean what one
// process saw, not what clocks say.
package history
