package datanode

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// protocolVersion comes before each operation.
	protocolVersion = 28
	opWriteBlock    = 0x50
	opReadBlock     = 0x51

	// connectTimeout bounds dialling, and also the first answer.
	connectTimeout = 3 * time.Second
	// maxResponse bounds a DataNode's answer to an operation, in bytes; its message
	// may be a Java exception with its stack.
	maxResponse = 1 << 20
)

// NodeError is the failure of one DataNode.
type NodeError struct {
	Node *wire.DatanodeInfo
	Err  error
}

func (e *NodeError) Error() string {
	return fmt.Sprintf("DataNode %s: %v", Address(e.Node, false), e.Err)
}

func (e *NodeError) Unwrap() error { return e.Err }

// StatusError is a DataNode's refusal.
type StatusError struct {
	Status  wire.Status
	Message string
}

func (e *StatusError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("it answered %v", e.Status)
	}
	return fmt.Sprintf("it answered %v: %s", e.Status, e.Message)
}

// Dialer opens a connection to host:port.
type Dialer func(ctx context.Context, address string) (net.Conn, error)

// Address is where a DataNode's data transfer is reached: by its IP address, or
// by its host name for clients that see it under another address than the
// NameNode does.
func Address(node *wire.DatanodeInfo, useHostname bool) string {
	host := node.GetId().GetIpAddr()
	if useHostname || host == "" {
		host = node.GetId().GetHostName()
	}
	return net.JoinHostPort(host, strconv.FormatUint(uint64(node.GetId().GetXferPort()), 10))
}

// dial connects within timeout (0: connectTimeout). A nil Dialer is TCP.
func dial(ctx context.Context, d Dialer, address string, timeout time.Duration) (net.Conn, error) {
	if timeout <= 0 {
		timeout = connectTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if d == nil {
		var plain net.Dialer
		return plain.DialContext(ctx, "tcp", address)
	}
	return d(ctx, address)
}

// request sends one operation, with what is to follow it, and reads its answer, of
// which r may buffer what follows. A status other than SUCCESS is a *StatusError. Deadlines are the
// caller's matter.
func request(w io.Writer, r *bufio.Reader, op byte, message proto.Message, behind []byte) (*wire.BlockOpResponse, error) {
	b, err := appendOperation(nil, op, message)
	if err != nil {
		return nil, err
	}
	b = append(b, behind...)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	return readResponse(r)
}

func appendOperation(b []byte, op byte, message proto.Message) ([]byte, error) {
	b = binary.BigEndian.AppendUint16(b, protocolVersion)
	b = append(b, op)
	b = protowire.AppendVarint(b, uint64(proto.Size(message)))
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, message)
}

func readResponse(r *bufio.Reader) (*wire.BlockOpResponse, error) {
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, fmt.Errorf("read its answer: %w", err)
	}
	if size > maxResponse {
		return nil, fmt.Errorf("its answer has %d bytes, at most %d are taken", size, maxResponse)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("read its answer: %w", err)
	}
	response := &wire.BlockOpResponse{}
	if err := proto.Unmarshal(b, response); err != nil {
		return nil, fmt.Errorf("its answer: %w", err)
	}
	if response.GetStatus() != wire.Status_SUCCESS {
		return nil, &StatusError{Status: response.GetStatus(), Message: response.GetMessage()}
	}
	return response, nil
}

// interrupt makes what blocks on conn fail once ctx ends, until the returned
// function is called. If that returns false, ctx has ended.
func interrupt(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		// It fails only on a closed connection, on which nothing blocks.
		_ = conn.SetDeadline(time.Unix(1, 0))
	})
}
