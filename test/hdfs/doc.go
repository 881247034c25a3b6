// Package hdfs holds the tests of the hdfs store on a real HDFS: separate
// processes that are killed, stopped and started again (test/hadoop).
//
//	store      the conformance suite of all stores, and what only HDFS has:
//	           replicas, damage on one DataNode, the loss of all of them
//	zombies    a writer process that stops at each stage of a segment's life,
//	           is recovered by this one, and goes on
//	node       the real binary: the main job, takeovers, DataNodes that die
//
// What needs no HDFS is tested beside the code in package hdfs.
package hdfs
