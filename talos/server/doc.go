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
//	 partitions ◄──── directory            which topics there are
//	      │               │
//	      ▼               ▼
//	partition.Log    manifests, Meta       what the store and etcd know
//
// A node's life:
//
//	          Claim                    Lost
//	waiting ─────────► serving ─────────────────► (drops its partitions)
//	   ▲                  │ Run's context ends             │
//	   │                  ▼                                │
//	   │               closing: hands its partitions over  │
//	   └───────────────────────────────────────────────────┘
//
// While it waits it answers NotOwner with the node that serves.
package server
