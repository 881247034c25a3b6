// Package endurance holds a node on a real HDFS under loads that last: a soak with
// DataNodes that die all the time, and many partitions that are written to now and
// then. `make hdfs-soak` and `make hdfs-many` measure, and fail where a promise is
// not kept; within `make test` both are short, and what depends on the machine's
// speed is only logged.
package endurance
