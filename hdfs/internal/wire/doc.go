// Package wire holds the messages that Hadoop's daemons speak (protobuf,
// generated), as far as Talos speaks them. Field numbers are those of Hadoop 3;
// names are ours. It does nothing but encode and decode: framing lies with rpc
// and datanode.
package wire
