// Package hdfsha holds the tests of the hdfs store on an HDFS with a pair of
// NameNodes, of which one is active, and three JournalNodes: all of them processes
// of their own that are killed, stopped and started again (test/hadoop).
//
//	failover  the active NameNode dies or hangs under load, while segments are
//	          created, and during a takeover
//	former    one that was active, and does not know that it is not any more
//	away      no NameNode at all for a while
//	host      a node and a DataNode beside it die at once
//
// An operator is played by the test: it makes the other NameNode active, without
// ZooKeeper. What one NameNode alone can do wrong is test/hdfs's.
package hdfsha
