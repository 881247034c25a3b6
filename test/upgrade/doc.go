// Package upgrade restarts the nodes of a cluster one after the other, each as the next
// version, under load, in the two ways that docs/operations.md tells operators of. The
// versions are two builds of this tree: what is tested is the procedure and that nodes
// of different versions stand beside each other, not what a release changed.
//
//	producers ──► node-1 (N)   node-2 (N)   node-3 (N) ◄── reader
//	                 │ end, start as N+1, ready, next
//	                 ▼
//	              node-1 (N+1) ...
//
// It has no code but tests.
package upgrade
