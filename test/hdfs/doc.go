// Package hdfs holds the tests of the hdfs store on a real HDFS: separate
// processes that are killed, stopped and started again (test/hadoop).
//
//	store      the conformance suite of all stores
//	replicas   DataNodes that die, stop and come back
//	power      all DataNodes, or the NameNode, at once
//	damage     flipped bytes
//	errors     what an operator is told at the start
//	zombie     a writer process that stops at each stage of a segment's life,
//	           is recovered by this one, and goes on
//	race       one that appends all the time, or is killed, recovered at random moments
//	model      random histories of a partition (test/model)
//	node       the real binary: the main job, takeovers, DataNodes that die
//
// What needs no HDFS is tested beside the code in package hdfs.
package hdfs
