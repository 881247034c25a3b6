// Package chaos runs several real nodes over a real etcd and a real store, lets
// producers and consumers use them while things break, and asks at the end whether
// what everybody saw can be.
//
// Everything is a process of its own. Between them are links that a test can cut:
//
//	producers, followers, observer
//	      │ link of each node
//	      ▼
//	  node-1  node-2  node-3
//	      │       │ link of each node to each member, and to the store
//	      ▼       ▼
//	  etcd (1 or 3 members)     local folder, MinIO, or HDFS
//
// A history is one such world from its start to its end. A seed chooses its faults;
// when what happens is the machine's. It counts if enough was acknowledged, and if
// enough faults took effect: each says how that was seen.
//
// What it does not do: the faults of a single store or partition are tested beside
// their code, and interleavings one by one by test/explore.
package chaos
