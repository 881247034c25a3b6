// Package groups runs consumer groups over real processes: three nodes, an etcd and
// a folder. The coordinator is killed, again and again. It is not the suite of many
// faults, which is in talos/server and runs on virtual time.
package groups
