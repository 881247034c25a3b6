// Package mem is a store that keeps segments in memory: for tests, and for
// `talos dev --memory`.
//
// It is not durable: all is gone with the process. Apart from that it keeps the
// whole contract of package storage, fencing included, so that what works on it
// works on the others. One Store is what several nodes share.
//
//	Store ─ folder ─ name ─► segment: state, content, its appender's queue
//
// A segment's state changes under its lock, and an append is added under the
// same lock; so once Recover has changed the state, nothing is acknowledged
// anymore. Only appends on their way take a goroutine.
package mem
