// Package crash holds the tests that kill a real node with SIGKILL under load,
// and then ask whether the log is still what producers and consumers were
// promised.
//
// They know nothing of the node's inside: they see the port, the signals, and
// the history (test/history). What a single store or partition does after a
// crash is tested beside its code.
//
// Where a test draws random numbers it logs a seed; TALOS_SEED replays it.
package crash
