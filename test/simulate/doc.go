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
// Beside the topic that all clients work on, whose partitions' starts are moved up
// now and then, another one comes and goes: made by two hosts at once, written,
// altered through two, read, and deleted. All of that must happen once, and the limit
// of topics hold. When nothing goes wrong any more, every host must be fit, have its
// share of the partitions, and know the same topics.
//
// What befalls a host: a crash; a freeze, also beyond its lease; no way to etcd, or
// to the store, after some time of which it says that it is unfit; commits and appends that come late, or whose outcome it does not
// learn; a drain, an announced restart, an orderly end. Mutants of the hosts, each
// without one of the things that keep the log right, show that the check would
// notice.
package simulate
