// Package bench measures a running node through the SDK, and beside it what the
// machine can do at best. It starts no node, and is no test: it judges nothing.
//
//	warm-up │ round 1: A  B │ round 2: B  A │ round 3: A  B │ report
//	             leg ┘  └ leg
//	leg = the workload, then the yardsticks: the same bytes without Talos
//	      (write and fdatasync of a file; a bare gRPC round trip)
//
// A and B are the same thing. How far their results are apart is the spread: a
// difference between two systems that is not well above it means nothing.
//
// Open loop: record i of a leg is due at start + i/rate, whatever became of those
// before, and its latency counts from then. A node that stalls for a second so
// shows a second, in all records that were due meanwhile, and not in one alone
// (no coordinated omission). Closed loop: each producer keeps so many records in
// flight, and sends the next one when one is acknowledged; latency counts from
// Send, and says what a load of that depth sees.
//
// The files: run.go has the order of the legs, fleet.go and catchup.go the
// workloads, disk.go and roundtrip.go the yardsticks, report.go and
// statistics.go, which are pure, what becomes of the samples.
package bench
