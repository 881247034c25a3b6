// Package groups runs consumer groups over real processes: three nodes, an etcd and
// a folder. The coordinator is killed, and stopped beyond its lease. It is not the
// suite of many faults, which is in talos/server and runs on virtual time.
package groups
