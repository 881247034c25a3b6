package rpc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

const (
	// maxFrame bounds a frame in either direction, in bytes. Listings of a
	// thousand entries with locations take about one MiB.
	maxFrame = 64 << 20
	// trustedFrame is how much is allocated on the word of a length alone.
	trustedFrame = 64 << 10

	lengthBytes = 4
)

// preface opens a connection: magic, version 9, service class 0, no SASL.
const preface = "hrpc\x09\x00\x00"

// Call ids that are not calls.
const (
	contextID = -3
	saslID    = -33
)

// errBadFrame: the bytes can't be an answer of a Hadoop server.
var errBadFrame = errors.New("not an answer of Hadoop RPC")

// opening returns what is sent first on a connection.
func opening(clientID []byte, user, protocol string) ([]byte, error) {
	frame, err := encodeFrame(
		header(contextID, -1, clientID),
		&wire.ConnectionContext{User: &wire.UserInformation{EffectiveUser: &user}, Protocol: &protocol},
	)
	return append([]byte(preface), frame...), err
}

func encodeCall(call Call, clientID []byte, protocol string, req proto.Message) ([]byte, error) {
	return encodeFrame(
		header(call.ID, call.Retry, clientID),
		&wire.RequestHeader{Method: &call.Method, Protocol: &protocol, Version: proto.Uint64(1)},
		req,
	)
}

func header(id, retry int32, clientID []byte) *wire.RpcRequestHeader {
	return &wire.RpcRequestHeader{
		Kind:   wire.RpcKind_RPC_PROTOCOL_BUFFER.Enum(),
		Op:     wire.RpcOperation_RPC_FINAL_PACKET.Enum(),
		CallId: &id, ClientId: clientID, RetryCount: &retry,
	}
}

func encodeFrame(messages ...proto.Message) ([]byte, error) {
	frame := make([]byte, lengthBytes, 256)
	for _, m := range messages {
		frame = protowire.AppendVarint(frame, uint64(proto.Size(m)))
		var err error
		if frame, err = (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(frame, m); err != nil {
			return nil, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
		}
	}
	size := len(frame) - lengthBytes
	if size > maxFrame {
		return nil, fmt.Errorf("a request of %d bytes is above the limit of %d", size, maxFrame)
	}
	binary.BigEndian.PutUint32(frame, uint32(size))
	return frame, nil
}

// readFrame reads the rest of a frame whose length was peeked at. The frame is
// the caller's.
func readFrame(r *bufio.Reader) ([]byte, error) {
	var length [lengthBytes]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(length[:]))
	switch {
	case string(length[:]) == "HTTP":
		return nil, fmt.Errorf("%w: it answers in HTTP, so it is a web port; the RPC port is meant, 8020 by default", errBadFrame)
	case size > maxFrame:
		return nil, fmt.Errorf("%w: a frame of %d bytes is announced, the limit is %d", errBadFrame, size, maxFrame)
	case size <= trustedFrame:
		frame := make([]byte, size)
		_, err := io.ReadFull(r, frame)
		return frame, err
	}
	var frame bytes.Buffer
	frame.Grow(trustedFrame)
	if _, err := io.CopyN(&frame, r, size); err != nil {
		return nil, err
	}
	return frame.Bytes(), nil
}

// response is an answer's header, and what follows it: an encoded message if the
// call succeeded.
type response struct {
	id     int32
	status wire.RpcStatus
	body   []byte
	// remote is set unless the call succeeded.
	remote *RemoteError
}

// decodeResponse takes a frame apart. The body shares its memory.
func decodeResponse(frame []byte) (response, error) {
	encoded, n := protowire.ConsumeBytes(frame)
	if n < 0 {
		return response{}, fmt.Errorf("%w: its header is cut short", errBadFrame)
	}
	var h wire.RpcResponseHeader
	if err := proto.Unmarshal(encoded, &h); err != nil {
		return response{}, fmt.Errorf("%w: its header: %w", errBadFrame, err)
	}
	r := response{id: int32(h.GetCallId()), status: h.GetStatus()}
	if r.status != wire.RpcStatus_RPC_SUCCESS {
		r.remote = &RemoteError{
			Class: h.GetExceptionClass(), Message: h.GetErrorMessage(), Fatal: r.status == wire.RpcStatus_RPC_FATAL,
		}
		return r, nil
	}
	if rest := frame[n:]; len(rest) > 0 {
		if r.body, n = protowire.ConsumeBytes(rest); n < 0 {
			return response{}, fmt.Errorf("%w: its message is cut short", errBadFrame)
		}
	}
	return r, nil
}
