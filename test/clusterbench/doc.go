// Package clusterbench measures a cluster of Talos: what producers notice when
// partitions move, a node is drained, killed or restarted, and what a cluster with
// many partitions costs: `make cluster-figures`.
//
// Each figure has nodes and an etcd of its own, real processes on loopback, over a
// store that is a folder, an S3 server or an HDFS:
//
//	producers, paced ──► sdk ──► node-1 ─┐
//	                        ├──► node-2 ─┼──► store
//	                        └──► node-3 ─┘     etcd
//
// It is no test: the only thing that is checked is that everything ends well. What
// must be true of a cluster under faults is test/chaos's, and the pauses of nodes
// within one process are test/moves's.
package clusterbench
