package hadoop

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os/user"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// haState is whether a NameNode of a pair serves, as Hadoop counts it.
type haState uint64

const active haState = 1

const (
	// stateProtocol is the Java interface by which operators change it. Their tool is
	// a Java program, whose start takes longer than what it does.
	stateProtocol = "org.apache.hadoop.ha.HAServiceProtocol"
	// stateTimeout bounds a call: a NameNode that becomes active reads what it has
	// not read of the edits.
	stateTimeout = time.Minute
	// maxReply bounds an answer, in bytes.
	maxReply = 1 << 20
)

// becomeActive makes a NameNode active, which it may be already.
func becomeActive(ctx context.Context, address string) error {
	byUser := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 0)
	_, err := callState(ctx, address, "transitionToActive", appendBytes(nil, 1, byUser))
	return err
}

// stateOf asks a NameNode.
func stateOf(ctx context.Context, address string) (haState, error) {
	reply, err := callState(ctx, address, "getServiceStatus", nil)
	if err != nil {
		return 0, err
	}
	for len(reply) > 0 {
		number, kind, n := protowire.ConsumeTag(reply)
		if n < 0 {
			return 0, protowire.ParseError(n)
		}
		reply = reply[n:]
		if number == 1 && kind == protowire.VarintType {
			state, n := protowire.ConsumeVarint(reply)
			return haState(state), protowire.ParseError(n)
		}
		if n = protowire.ConsumeFieldValue(number, kind, reply); n < 0 {
			return 0, protowire.ParseError(n)
		}
		reply = reply[n:]
	}
	return 0, errors.New("the answer has no state")
}

// callState makes one call on a connection of its own, and returns the answer's
// message.
func callState(ctx context.Context, address, method string, request []byte) (_ []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	self, err := user.Current()
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // it ends the call
	defer stop()
	hello := appendString(nil, 1, self.Username)
	hello = appendString(appendBytes(nil, 2, hello), 3, stateProtocol)
	call := appendString(appendString(nil, 1, method), 2, stateProtocol)
	call = protowire.AppendVarint(protowire.AppendTag(call, 3, protowire.VarintType), 1)
	out := append([]byte("hrpc"), 9, 0, 0)
	out = appendFrame(out, callHeader(-3), hello)
	out = appendFrame(out, callHeader(0), call, request)
	if _, err := conn.Write(out); err != nil {
		return nil, err
	}
	return readReply(conn, method)
}

// callHeader is Hadoop's RpcRequestHeader of a call.
func callHeader(id int64) []byte {
	h := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 2)
	h = protowire.AppendVarint(protowire.AppendTag(h, 2, protowire.VarintType), 0)
	h = protowire.AppendVarint(protowire.AppendTag(h, 3, protowire.VarintType), protowire.EncodeZigZag(id))
	return appendBytes(h, 4, make([]byte, 16))
}

// readReply takes an answer apart: its header, and then what was asked for.
func readReply(r io.Reader, method string) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	size := binary.BigEndian.Uint32(length[:])
	if size > maxReply {
		return nil, fmt.Errorf("%s: an answer of %d bytes", method, size)
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	header, n := protowire.ConsumeBytes(frame)
	if n < 0 {
		return nil, protowire.ParseError(n)
	}
	if n == len(frame) {
		// The class and the text of an exception are in the header.
		return nil, fmt.Errorf("%s: %q", method, header)
	}
	message, n := protowire.ConsumeBytes(frame[n:])
	return message, protowire.ParseError(n)
}

func appendFrame(out []byte, messages ...[]byte) []byte {
	var frame []byte
	for _, m := range messages {
		frame = protowire.AppendBytes(frame, m)
	}
	return append(binary.BigEndian.AppendUint32(out, uint32(len(frame))), frame...)
}

func appendBytes(b []byte, number protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), v)
}

func appendString(b []byte, number protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), v)
}
