// Package simulate runs a whole cluster in one process on virtual time, lets things
// go wrong, and checks what its clients saw.
//
// The coordinator (registration, election, scheduler, records), the planner, the
// partitions and the memory store are the real ones. What is not: a host stands for
// the node (who serves what, handovers), and calls stand for RPC; test/moves and the
// multi-process tests have those.
//
//	producers, readers ──► host ─── partition.Log ──► wire (faults) ──► storage/mem
//	       │                 └───── coordinator.Meta ─► wire (leases, faults) ─► coordinator/mem
//	       ▼
//	test/history: check
//
// A seed fixes the faults, when they come, and the workload. It does not fix what
// Go's scheduler does within one moment of virtual time, so a history that fails may
// need a few runs of its seed to fail again.
//
// What befalls a host: a crash; a freeze, also beyond its lease; no way to etcd, or
// to the store; commits and appends that come late, or whose outcome it does not
// learn; a drain, an announced restart, an orderly end. Mutants of the hosts, each
// without one of the things that keep the log right, show that the check would
// notice.
package simulate
