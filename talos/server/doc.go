// Package server is one node: the gRPC services Log and Admin over the
// partitions that the node owns, and the HTTP pages for operators.
//
// It is not a log (that is partition), does not decide who owns what (that is
// coordinator), and keeps nothing of its own: all state lies in the store and in
// the coordinator.
//
//	            gRPC                                 HTTP
//	 Log service    Admin service          /healthz /readyz /metrics
//	      │               │
//	      ▼               ▼
//	 partitions ◄──── coordinator.View     topics, nodes, owners: one watch
//	      │               │
//	      ▼               ▼
//	partition.Log    manifests, Meta       what the store and etcd know
//
// A node's life:
//
//	             registered                  the registration is lost
//	outside ─────────────────► serving ─────────────────────────────► (drops its
//	   ▲                          │ Run's context ends                  partitions)
//	   │                          ▼                                        │
//	   │                       leaving: others take its partitions, one    │
//	   │                       by one; or they are closed and kept for it  │
//	   └───────────────────────────────────────────────────────────────────┘
//
// While it is outside it owns nothing, and says NotServing; what it knows of topics
// and owners it still tells. About a partition of another node it says NotOwner and
// names that one.
package server
