// Package stores opens the store that a URL names. It is the one place that knows
// all of them:
//
//	file:///path, or a path   a folder
//	hdfs://[user@]host[:port]/path[?replication=N&min-replicas=N&open-segments=N&block-mib=N]
//	                          HDFS; the host may be a name that HADOOP_CONF_DIR explains
//	s3://bucket/prefix[?endpoint=URL&region=R&commit-interval=D&...]
//	                          an S3-compatible store; credentials come from the environment
//	mem:                      this process's memory
package stores
