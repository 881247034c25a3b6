package rpc

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// The bytes that Hadoop's servers read, field by field.
func TestGoldenFrames(t *testing.T) {
	id := []byte("0123456789abcdef")
	hello, err := opening(id, "kai", "P")
	require.NoError(t, err)
	require.Equal(t, ""+
		"68727063"+"09"+"00"+"00"+ // "hrpc", version, service class, no authentication
		"00000026"+ // 38 bytes follow
		"1a"+"0802"+"1000"+"1805"+"2210"+hex.EncodeToString(id)+"2801"+ // kind, op, call -3, client, retry -1
		"0a"+"1205"+"0a036b6169"+"1a0150", // user{kai}, protocol P
		hex.EncodeToString(hello))

	src := "/a"
	call, err := encodeCall(Call{Method: "m", ID: 1, Retry: 1}, id, "P", &wire.GetFileInfoRequest{Src: &src})
	require.NoError(t, err)
	require.Equal(t, ""+
		"00000029"+
		"1a"+"0802"+"1000"+"1802"+"2210"+hex.EncodeToString(id)+"2802"+
		"08"+"0a016d"+"120150"+"1801"+ // method, protocol, version 1
		"04"+"0a022f61",
		hex.EncodeToString(call))
}

func TestReadFrame(t *testing.T) {
	large := bytes.Repeat([]byte{7}, trustedFrame+1)
	for name, test := range map[string]struct {
		in   []byte
		want []byte
		err  error
	}{
		"empty":      {[]byte{0, 0, 0, 0}, []byte{}, nil},
		"small":      {[]byte{0, 0, 0, 2, 5, 6, 9}, []byte{5, 6}, nil},
		"large":      {append([]byte{0, 1, 0, 1}, large...), large, nil},
		"cut length": {[]byte{0, 0}, nil, io.ErrUnexpectedEOF},
		"cut small":  {[]byte{0, 0, 0, 2, 5}, nil, io.ErrUnexpectedEOF},
		"cut large":  {append([]byte{0, 1, 0, 2}, large...), nil, io.EOF},
		"too large":  {[]byte{4, 0, 0, 1}, nil, errBadFrame},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readFrame(bufio.NewReader(bytes.NewReader(test.in)))
			require.ErrorIs(t, err, test.err)
			if test.err == nil {
				require.Equal(t, test.want, got)
			}
		})
	}
}

// FuzzResponse feeds the decoder what a server may send: whatever it is, it is an
// answer or an error, of a bounded size.
func FuzzResponse(f *testing.F) {
	ok := &wire.RpcResponseHeader{CallId: proto.Uint32(3), Status: wire.RpcStatus_RPC_SUCCESS.Enum()}
	bad := &wire.RpcResponseHeader{
		CallId: proto.Uint32(0xffffffdf), Status: wire.RpcStatus_RPC_FATAL.Enum(),
		ExceptionClass: proto.String("a.B$C"), ErrorMessage: proto.String("first\nsecond"),
	}
	f.Add(encodeAnswer(f, ok))
	f.Add(encodeAnswer(f, ok, answerTo("/a")))
	f.Add(encodeAnswer(f, bad))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Add([]byte{0, 0, 0, 1, 255})
	f.Fuzz(func(t *testing.T, in []byte) {
		frame, err := readFrame(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			require.True(t, errors.Is(err, errBadFrame) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), err)
			return
		}
		require.LessOrEqual(t, len(frame), len(in))
		r, err := decodeResponse(frame)
		if err != nil {
			require.ErrorIs(t, err, errBadFrame)
			return
		}
		require.Equal(t, r.status != wire.RpcStatus_RPC_SUCCESS, r.remote != nil)
		require.LessOrEqual(t, len(r.body), len(frame))
		if r.remote != nil {
			require.NotEmpty(t, r.remote.Error())
			require.NotContains(t, r.remote.Line(), "\n")
		}
	})
}
