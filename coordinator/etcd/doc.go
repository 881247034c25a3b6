// Package etcd is the coordinator.KV over etcd, through its own client.
//
// It holds no logic of Talos: keys, values and decisions are package
// coordinator's. Nor does it run etcd; coordinator/embedded can.
//
// A session is an etcd lease. Its end as seen from here comes before its end in
// etcd, however slow the network is and even if the machine was suspended:
//
//	keep-alive sent ├──────────── time to live ─────────────┤ etcd may end it
//	                ├───────── 9/10 ─────────┤ Done is closed here
//	                ├── 1/3 ──┤ next keep-alive is sent
//
// Both spans begin when the keep-alive is sent, not when its answer comes.
package etcd
