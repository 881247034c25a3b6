// Package etcd runs a real etcd for tests and for `make cluster`: one member or
// three, each a process of its own on loopback, which can be killed, stopped,
// continued and started again over the same data.
//
// It knows nothing of what is stored. The binary is built by `make .bin/etcd`, in
// the version of the module's own etcd client.
//
//	Start ──► every member serves ──► Kill, Stop ──► gone, or silent ──┐
//	                  ▲                                                │
//	                  └──────────── Start, Continue of the member ─────┘
//
// No process outlives the one that started it.
package etcd
