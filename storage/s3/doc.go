// Package s3 is the store that keeps segments in an S3-compatible object store
// which honours If-None-Match on PUT: one object for each append.
//
// It knows nothing of what is inside a segment, makes no multipart uploads, and
// merges no objects.
//
//	<prefix>/chunks/<folder>/<name>!/<number>     chunk: the head, or one append
//	                                    empty:    the seal, or a tombstone
//	<prefix>/index/<folder>/<name>!open           the segment may exist
//	<prefix>/index/<folder>/<name>!sealed-<n>-<b> it has n chunks, b bytes, for good
//
// Numbers count from 0 and have ten digits. A segment is its run: the chunks from
// 0 on up to the first number that is missing or empty. What lies beyond is
// noise, written by an appender that had failed before, or a wall (see below).
//
//	            0 is put               n is empty, put by Seal or Recover
//	(nothing) ───────────► open ──────────────────────► sealed
//	                                                      │ Remove: 0 is overwritten
//	                       (nothing) ◄── Purge ── removed ◄┘ with nothing, chunks go
//
// # Why nobody acknowledges after a Recover
//
// Each chunk is put once, with If-None-Match: *, and chunks are acknowledged in
// the order of their numbers. The seal is put under the number of a chunk, with
// the same condition: at the first number that is missing. So an appender's next
// chunk fails, and all behind it are never acknowledged. Any failure, an unknown
// outcome included, ends the appender: nothing is ever put twice. An append of no
// bytes puts nothing, so an empty object is never a chunk.
//
// A Recover that is always overtaken by a fast appender puts an empty object
// farther ahead, the wall. The appender can't pass it, so the gap before it is
// filled, by one of the two.
//
// # What MinIO does with a request that is broken off
//
// It may put the object all the same, but later, over one that was put meanwhile. So
// no PUT of a chunk or a seal is broken off, whoever waits for it gives up or not.
//
// Or it takes the object back, which listings have shown by then. A node that is killed
// breaks its requests off. So a Recover asks with HEAD, which waits for the PUT, for
// what it listed and may neither be acknowledged nor stay: the last chunks, and a seal
// that it did not put.
//
// # Why seals outlive their chunks
//
// An appender may have been stopped for days. What keeps it from acknowledging is
// the object under the number of its next chunk; so Remove leaves the seal, and
// an empty object 0 for a Create that is still on its way. They lie below chunks/
// where no List looks, and go with Purge, when their folder is of no use anymore.
//
// # What a takeover costs
//
// List, Recover and Open need the run of a segment, one after the other. Each hands
// what it has listed to the next one (handOver), which looks at object 0 and at what
// came behind.
//
// # What a listing costs
//
// List looks at index/ alone: one entry for each segment, and the chunks of those
// that are not sealed. The entry comes before the head, and goes after the
// chunks. It is a hint to find segments by; that one is sealed, the chunks alone
// decide. But once it says so, a chunk that is missing is damage.
package s3
