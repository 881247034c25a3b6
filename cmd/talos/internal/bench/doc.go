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
// What load is, in an open and in a closed loop, and how latency counts, is in
// internal/loadgen.
//
// The files: run.go has the order of the legs, fleet.go and catchup.go the
// workloads, disk.go and roundtrip.go the yardsticks, report.go and
// statistics.go, which are pure, what becomes of the samples.
package bench
