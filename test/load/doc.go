// Package load is the workload of the crash tests: producers that send lines of
// real files through the SDK, and readers, all of which report to a history.
//
// It judges nothing (test/history does) and starts no node (test/process does).
// A record is identified by (producer, sequence) in a header, and everything
// else in it follows from that, so that any reader can tell what it got.
package load
