// Package rpc is the client side of Hadoop RPC, version 9, with simple
// authentication: one protocol of one server, over one connection that many
// calls share. It is not a client of HDFS: what is called, and whether it is
// called again, lies with the caller (see namenode).
//
//	preface   "hrpc", version 9, service class 0, authentication 0 (none)
//	context   frame(RpcRequestHeader{call -3}, ConnectionContext{user, protocol})
//	call      frame(RpcRequestHeader{call, retry}, RequestHeader{method}, request)
//	answer    frame(RpcResponseHeader{call, status}, response if it succeeded)
//	frame     u32 big endian length, then messages, each behind its varint length
//
// A connection is dialled by the first call that needs it:
//
//	none -> dialling -> alive -> dead: idle, lost, refused (Kerberos, not Hadoop)
//	  ^                            |
//	  +---- the next call ---------+
//
// Answers come in any order and are matched by call id. A call that was given up
// leaves the connection alone; its answer is dropped. The server answers no
// pings: a connection on which an answer is owed and nothing was heard for 10 s
// counts as lost, and one on which nothing is owed is closed after the same time.
package rpc
