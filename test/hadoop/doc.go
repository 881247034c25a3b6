// Package hadoop runs a real HDFS on loopback: one NameNode and some DataNodes,
// each a process of its own that can be killed, stopped and started again with
// the same data.
//
// It knows nothing of Talos. What it runs lies in .bin/hadoop, where
// tools/hadoop/install.sh puts it.
//
//	launch ──► serves ──► Stop (SIGSTOP) ──► Continue ─┐
//	   ▲          │ ▲                                  │
//	   │          │ └──────────────────────────────────┘
//	 Start ◄──── Kill, or it ends by itself
//
// A cluster's folder:
//
//	conf    core-site.xml, hdfs-site.xml, log4j.properties: the same for all
//	name    the NameNode's data
//	data-N  the N-th DataNode's data
//	log     one file for each daemon
//	tmp     what Java unpacks
//
// A Cluster is used by one test at a time, and its methods by one goroutine.
// None of its processes outlives the one that started it (on Linux), even if that
// is killed.
package hadoop
