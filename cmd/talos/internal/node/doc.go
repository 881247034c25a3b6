// Package node constructs a node out of its parts, runs it, and takes it apart
// again. It is the wiring behind `talos dev` and `talos server`; the node itself
// is package talos/server.
//
//	            dev                    dev --memory     server
//	store       <data>/store, --store  memory           --store
//	metadata    <data>/etcd, embedded  memory           etcd at --etcd
//	node id     <data>/node-id         random           --node-id
package node
