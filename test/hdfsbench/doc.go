// Package hdfsbench compares the HDFS store with Hadoop's own Java client, both
// over the same HDFS on this machine: `make hdfs-figures`.
//
// Absolute figures say little on a machine that does other things as well, so
// the two take turns, in short legs, and what counts is their ratio:
//
//	round 1   Talos  Hadoop  Talos' Hadoop'
//	round 2   Hadoop Talos   Hadoop' Talos'
//	...
//
// A figure is the median over all legs of a side. Talos and Talos' are the same
// thing, and how far their medians are apart, in percent of the smaller one, is
// the spread: the noise of this machine at this time. One leg of each goes before
// the first round, uncounted, and the JVM stays the same from there to the end.
//
// What is measured is the whole store (hdfs.Store), not a node, and it is no
// test: nothing is checked but that all appends succeed.
package hdfsbench
