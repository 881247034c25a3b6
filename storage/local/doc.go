// Package local is a store on a local file system: one file per segment, fenced
// by file locks, durable by fdatasync. Several processes may use one root.
//
// It is not for network file systems, whose locks and syncs promise less. It
// does not replicate.
//
//	<root>/<folder>/<name>      a segment
//	<root>/.creating/<random>   a segment that Create has not named yet
//
// # How a segment comes to be
//
// A file is made without its final name, locked, filled with the head and
// synced; only then it is linked to its name, and the folder is synced. So a
// segment that can be seen is whole, and locked by its appender for as long as
// that lives: no Recover can come before the lock. What a crash leaves in
// .creating is removed when the root is opened.
//
//	creates in .creating ─► locks ─► writes head, fdatasync
//	  ─► makes folders, syncs their parents ─► links the name ─► syncs the folder
//
// # How an appender ends
//
// The lock is a flock: it belongs to the open file, not to the process (closing
// some other descriptor does not drop it), and the kernel drops it when the
// process dies. Seal, Abandon, a failed append, Recover and Remove close the
// file. Recover stops an appender of the same Store itself; for any other it
// waits for the lock, up to Options.LockWait. So a process that is stopped but
// not dead (SIGSTOP, a hung disk) blocks a takeover; the error names it.
//
// Folders are never removed, even when empty: that would race with a Create in
// another process. Once opened, the root is never made again: if it is gone, its
// disk was unmounted, so calls fail and nothing is taken for absent.
//
// # What it can't do
//
// System calls can't be interrupted: a context is looked at between them, and
// while waiting. After a failed fdatasync the kernel may show bytes that are not
// on disk, and a later fdatasync of another process does not fail again; the
// appender acknowledges none of them, and a reader should take nothing beyond
// its acknowledged length.
package local
