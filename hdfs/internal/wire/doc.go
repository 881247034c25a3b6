// Package wire holds the messages that Hadoop's daemons speak (protobuf,
// generated), as far as Talos speaks them. Field numbers are those of Hadoop 3;
// names are ours, of the files too: a process has each name once, and etcd has an
// rpc.proto. It does nothing but encode and decode: framing lies with rpc
// and datanode.
package wire
