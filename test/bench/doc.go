// Package bench measures Talos beside other systems on one machine, in one run, in
// turns: NATS JetStream, Apache Kafka, Hadoop's own client, and the bare machine.
// It is a module of its own, so that what the others need is none of Talos' own
// dependencies. It is no test: it judges no commit, and says where a target is missed.
//
//	row (a question)        its systems run from its beginning to its end
//	 └ workload (a load)    round 1: T T' N N' K K' │ round 2: K' K N' N T' T │ …
//	    └ leg               one system under one load, from a fresh start of the clock
//
// Each system has two legs in each round, A and B, which are the same thing: how far
// they are apart is what this machine's noise is worth. Legs of different systems
// take turns, so that a machine that gets slower does not slow one of them alone;
// after each leg the system's unwritten data is flushed to disk, so that it is no
// burden for the next one's. A figure is the median over legs; a ratio is that of
// two medians.
//
// All clients are in this process and get their load from the same generator
// (internal/loadgen); all servers are processes of their own, whose processor time
// and memory are read from Linux. The files: rows.go has the questions and targets,
// talos.go, nats.go, kafka.go and java.go the systems, run.go the order of legs,
// report.go, table.go and plot.go what comes out.
package bench
