// Package talos holds the nouns of the log service: typed names, ids, offsets
// and epochs, records, limits, and the one error table.
//
// It is not the node (that is talos/server) and not the client (that is sdk).
// Everything imports it and it imports nothing of ours, so it has no I/O, no
// goroutine and no state.
//
//	topic "logs" ──id──► 6f1c…   (a new id at every creation)
//	  └─ partition 0..n-1         a totally ordered log
//	       └─ segment             <number>-<epoch>-<base offset>
//	            └─ record batch   Kafka's RecordBatch v2, package talos/batch
//	                 └─ record    has an offset
package talos
