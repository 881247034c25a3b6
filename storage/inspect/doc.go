// Package inspect looks at the segments of a store without a node: what lies
// there, what is in one segment, and whether every byte of it is as it was
// written.
//
// It only lists and reads. It recovers nothing, takes no lock and knows no
// partition record, so it can be used while nodes write, and it can't say which
// segments count: of several with one number, the one with the highest epoch
// usually does, and is what it takes for the chain.
//
// What can be wrong with a segment:
//
//	sealed     it has a footer; each byte was verified
//	unsealed   no footer: it is being written, or its owner was cut off; each
//	           frame was verified
//	torn       unsealed, and the end of the last frame is missing: an append
//	           that was never acknowledged
//	ambiguous  unsealed, and the last bytes are there, but not as they were written:
//	           an append in flight at a crash, or damage
//	damaged    anything else
package inspect
