// Package process runs the real binary for tests: builds it, starts a node over
// a data folder, waits until it serves, kills it with SIGKILL, starts it again.
//
// It does not know what the node stores, nor whether that is right; test/load
// and test/history do.
//
//	Build ──► Start ──► ready ──► Kill, or the process ends by itself ──► ended
//	                      ▲                                                 │
//	                      └──────────────────── Restart ────────────────────┘
//
// A Node keeps its data folder and its ports over restarts. Only processes
// started here are ever signaled; none outlives its test, even if the test
// process is killed.
package process
