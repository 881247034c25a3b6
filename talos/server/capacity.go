package server

import (
	"fmt"
	"time"
)

// Capacity is how much a node takes on at a time; every field must be positive.
type Capacity struct {
	// Connections bounds the connections to each port, ConnectionsPerAddress those
	// of one IP address. One more is closed at once.
	Connections, ConnectionsPerAddress int
	// Streams bounds the calls under way on the node, StreamsPerConnection those of
	// one connection. A call beyond the first is answered with Overloaded, one
	// beyond the second waits in the client.
	Streams, StreamsPerConnection int
	// LongPolls bounds the fetches that wait for records. One more is answered with
	// Overloaded.
	LongPolls int
	// HeaderBytes bounds the headers of a call or an HTTP request.
	HeaderBytes int
	// Handshake is how long a connection may take to begin, and a client to send
	// the request of a call that has one only.
	Handshake time.Duration

	// ProduceBytes bounds the batches that logs hold. Further ones are not read.
	ProduceBytes int
	// AnswerBytes bounds the answers that are put together, queued or sent, and
	// ConnectionAnswerBytes those to one connection. Further calls wait, and are
	// then answered with Overloaded.
	AnswerBytes, ConnectionAnswerBytes int
	// AnswerTimeout is how long a client may take to read an answer. The connection
	// of one that takes longer is closed.
	AnswerTimeout time.Duration

	// Topics and Partitions bound what the cluster has of them. One more is
	// answered with LimitReached.
	Topics, Partitions int
}

// DefaultCapacity suits a node with a few GiB of memory.
func DefaultCapacity() Capacity {
	return Capacity{
		Connections: 10_000, ConnectionsPerAddress: 2_000,
		Streams: 20_000, StreamsPerConnection: 1_000,
		LongPolls: 10_000, HeaderBytes: 16 << 10, Handshake: 10 * time.Second,
		ProduceBytes: 512 << 20, AnswerBytes: 512 << 20, ConnectionAnswerBytes: 64 << 20,
		AnswerTimeout: time.Minute,
		Topics:        10_000, Partitions: 100_000,
	}
}

// faults names what can't be used.
func (c Capacity) faults() []error {
	var all []error
	for name, n := range map[string]int{
		"Connections": c.Connections, "ConnectionsPerAddress": c.ConnectionsPerAddress,
		"Streams": c.Streams, "StreamsPerConnection": c.StreamsPerConnection,
		"LongPolls": c.LongPolls, "HeaderBytes": c.HeaderBytes, "Handshake": int(c.Handshake),
		"ProduceBytes": c.ProduceBytes, "AnswerBytes": c.AnswerBytes, "ConnectionAnswerBytes": c.ConnectionAnswerBytes,
		"AnswerTimeout": int(c.AnswerTimeout), "Topics": c.Topics, "Partitions": c.Partitions,
	} {
		if n <= 0 {
			all = append(all, fmt.Errorf("capacity %s is %d, want a positive number", name, n))
		}
	}
	return all
}
