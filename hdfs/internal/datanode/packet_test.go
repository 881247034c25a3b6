package datanode

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	require.NoError(t, err)
	return b
}

func bytesOf(p *packet) []byte { return slices.Concat(p.prefix, slices.Concat(p.data...)) }

// cut makes the first packet of b.
func (c *cutter) cut(b string, sync bool) *packet {
	return c.next(&[][]byte{[]byte(b)}, sync)
}

// e3069283 is the check value of CRC32C, that of "123456789".
func TestPacketOnTheWire(t *testing.T) {
	c := cutter{}
	pieces := [][]byte{[]byte("1234"), nil, []byte("56789")}
	p := c.next(&pieces, true)
	require.Empty(t, pieces)
	require.Equal(t, unhex(t, `
		00000011 001b
		09 0000000000000000  11 0000000000000000  18 00  25 09000000  28 01
		e3069283
		313233343536373839`), bytesOf(p))

	// The partial chunk is sent again, with what follows it.
	p = c.cut("0", false)
	require.Equal(t, unhex(t, `
		00000012 0019
		09 0000000000000000  11 0100000000000000  18 00  25 0a000000
		f3dbd4fe
		31323334353637383930`), bytesOf(p))

	require.Equal(t, unhex(t, `
		00000004 0019
		09 0a00000000000000  11 0200000000000000  18 01  25 00000000`), bytesOf(c.empty(true)))
	require.Equal(t, unhex(t, `
		00000004 0019
		09 0000000000000000  11 ffffffffffffffff  18 00  25 00000000`), bytesOf(heartbeat()))
}

func TestPrefixFitsItsBuffer(t *testing.T) {
	c := cutter{}
	_ = c.cut(string(make([]byte, ChunkBytes-1)), true)
	p := c.cut(string(make([]byte, 2*maxPacketData)), true)
	require.LessOrEqual(t, len(p.prefix), maxPrefix)
	require.Equal(t, maxPacketData-ChunkBytes+1, p.length)
}

func TestOperationOnTheWire(t *testing.T) {
	block := blockOn(newFakeNode(t, 1))
	b, err := appendOperation(nil, opWriteBlock, operation(Config{ClientName: "talos"}, block, 0, Setup{}))
	require.NoError(t, err)
	require.Equal(t, unhex(t, `
		001c 50 48
		0a 26
		   0a 1d
		      0a 11  0a 04 706f6f6c  10 8180808004  18 e907  20 00
		      12 08  0a 00  12 00  1a 00  22 00
		   12 05 74616c6f73
		20 06  28 01  30 00  38 00  40 e907
		4a 05  08 02  10 8004
		58 01
		8201 09 73746f726167652d30`), b)
}

// A response or an acknowledgement is what the protobuf library says it is, or
// refused.
func FuzzAck(f *testing.F) {
	for _, one := range []*wire.PipelineAck{
		{Seqno: proto.Int64(0), Reply: []wire.Status{wire.Status_SUCCESS}},
		{Seqno: proto.Int64(-1), Reply: []wire.Status{wire.Status_ERROR}, DownstreamAckNanos: proto.Uint64(1 << 40)},
		{Seqno: proto.Int64(1 << 40), Reply: []wire.Status{wire.Status_SUCCESS}, Flag: []uint32{0x30 | uint32(wire.Status_ERROR_CHECKSUM)}},
		{Seqno: proto.Int64(5), Reply: []wire.Status{wire.Status_SUCCESS, wire.Status_SUCCESS}},
	} {
		b, err := proto.Marshal(one)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseAck(b)
		if err != nil {
			return
		}
		want := &wire.PipelineAck{}
		if proto.Unmarshal(b, want) != nil {
			return // it knows more ways to be wrong
		}
		require.Equal(t, want.GetSeqno(), got.seqno)
		status := want.GetReply()
		switch {
		case len(want.GetFlag()) > 0:
			require.EqualValues(t, want.GetFlag()[0]&0xf, got.status)
		case len(status) > 0: // of an enum, values that are unknown are left out
			require.Equal(t, status[0], got.status)
		}
	})
}

func FuzzAcks(f *testing.F) {
	f.Add([]byte{4, 8, 2, 16, 0, 4, 8, 4, 16, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		in := acks{bufio.NewReaderSize(bytes.NewReader(b), maxAck)}
		for n := 0; ; n++ {
			ready := in.ready()
			_, err := in.next()
			if err != nil {
				return
			}
			require.True(t, n == 0 || ready || len(b) > maxAck, "it was there, but not ready")
			require.LessOrEqual(t, n, len(b))
		}
	})
}

func FuzzResponse(f *testing.F) {
	for _, one := range []*wire.BlockOpResponse{
		{Status: wire.Status_SUCCESS.Enum()},
		{Status: wire.Status_ERROR.Enum(), Message: proto.String("java.io.IOException")},
	} {
		var b bytes.Buffer
		require.NoError(f, writeDelimited(&b, one))
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		response, err := readResponse(bufio.NewReader(bytes.NewReader(b)))
		require.Equal(t, err == nil, response.GetStatus() == wire.Status_SUCCESS && response != nil)
	})
}
