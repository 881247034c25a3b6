package datanode

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

func TestRangesOfAnyAlignmentAreRead(t *testing.T) {
	f := offering(t, newReplica(nil))
	block := blockOn(f)
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]wire.ChecksumType{wire.ChecksumType_CHECKSUM_CRC32, wire.ChecksumType_CHECKSUM_CRC32C}).Draw(rt, "kind")
		chunk := rapid.SampledFrom([]int{1, 512, 1000, 4096}).Draw(rt, "chunk")
		packet := chunk * rapid.IntRange(1, 64).Draw(rt, "chunks in a packet")
		data := noise(rapid.IntRange(1, min(100*chunk, 100_000)).Draw(rt, "size"))
		f.replica = &replica{data: data, kind: kind, chunk: chunk, packet: packet}
		r := NewReads(ReadConfig{})
		defer r.Close()
		for range 5 {
			off := rapid.IntRange(0, len(data)-1).Draw(rt, "off")
			n := rapid.IntRange(1, len(data)-off).Draw(rt, "n")
			requireRead(rt, r, block, data, off, n)
		}
	})
	_, _, thanks := f.served()
	for _, status := range thanks {
		require.Equal(t, wire.Status_CHECKSUM_OK, status)
	}
}

func TestALargeRangeIsReadInPartsAtOnce(t *testing.T) {
	data := noise(7*partBytes + 777)
	rep := newReplica(data)
	f := offering(t, rep)
	var open, most atomic.Int32
	full := make(chan struct{})
	var once sync.Once
	rep.opened = func(op *wire.OpReadBlock) *wire.BlockOpResponse {
		n := open.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			continue
		}
		if n == maxParts {
			once.Do(func() { close(full) })
		}
		<-full
		defer open.Add(-1)
		if op.GetLength() > partBytes {
			return refusal("too long")
		}
		return nil
	}
	r, failed := reads(t, ReadConfig{})
	requireRead(t, r, blockOn(f), data, 513, len(data)-513)
	require.Empty(t, failed.list())
	require.EqualValues(t, maxParts, most.Load())
	conns, reads, _ := f.served()
	require.Equal(t, 8, reads)
	require.LessOrEqual(t, conns, maxParts)
}

func TestTheFirstLocationIsReadUnlessItFails(t *testing.T) {
	data := noise(5000)
	a, b := offering(t, newReplica(data)), offering(t, newReplica(data))
	r, failed := reads(t, ReadConfig{})
	for range 3 {
		requireRead(t, r, blockOn(b, a), data, 0, len(data))
	}
	_, n, _ := b.served()
	require.Equal(t, 3, n)
	_, n, _ = a.served()
	require.Zero(t, n)
	require.Empty(t, failed.list())
}

func TestWhatIsAskedOfADataNode(t *testing.T) {
	f := offering(t, newReplica(noise(2000)))
	r, _ := reads(t, ReadConfig{})
	block := blockOn(f)
	require.NoError(t, r.ReadAt(t.Context(), block, make([]byte, 100), 700))
	f.mu.Lock()
	op := f.reads[0]
	f.mu.Unlock()
	require.Equal(t, "test", op.GetHeader().GetClientName())
	require.Equal(t, block.GetBlock().GetBlockId(), op.GetHeader().GetBase().GetBlock().GetBlockId())
	require.NotNil(t, op.GetHeader().GetBase().GetToken())
	require.EqualValues(t, 700, op.GetOffset())
	require.EqualValues(t, 100, op.GetLength())
	require.True(t, op.GetSendChecksums())
}

func TestNothingIsAskedForNothing(t *testing.T) {
	f := offering(t, newReplica(nil))
	r, _ := reads(t, ReadConfig{})
	require.NoError(t, r.ReadAt(t.Context(), blockOn(f), nil, 0))
	_, n, _ := f.served()
	require.Zero(t, n)
}

func TestReadsThatAreClosedReadNothing(t *testing.T) {
	f := offering(t, newReplica(noise(1)))
	r, _ := reads(t, ReadConfig{})
	r.Close()
	require.ErrorIs(t, r.ReadAt(t.Context(), blockOn(f), make([]byte, 1), 0), ErrReadsClosed)
	_, err := r.VisibleLength(t.Context(), blockOn(f))
	require.ErrorIs(t, err, ErrReadsClosed)
}

func TestCloseEndsReadsInFlight(t *testing.T) {
	rep, asked, release := stuck()
	r, failed := reads(t, ReadConfig{})
	ended := make(chan error, 1)
	go func() { ended <- r.ReadAt(context.Background(), blockOn(offering(t, rep)), make([]byte, 1), 0) }()
	<-asked
	r.Close()
	require.ErrorIs(t, <-ended, ErrReadsClosed)
	require.Empty(t, failed.list())
	release()
}

func TestTheEndOfAContextEndsAReadAtOnce(t *testing.T) {
	for name, n := range map[string]int{"one part": 1, "several parts": 3 * partBytes} {
		t.Run(name, func(t *testing.T) {
			rep, asked, release := stuck()
			f, healthy := offering(t, rep), offering(t, newReplica(make([]byte, n)))
			r, failed := reads(t, ReadConfig{})
			ctx, cancel := context.WithCancelCause(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.ReadAt(ctx, blockOn(f, healthy), make([]byte, n), 0) }()
			<-asked
			cancel(context.Canceled)
			require.ErrorIs(t, <-ended, context.Canceled)
			require.Empty(t, failed.list(), "the DataNode is not to blame")
			require.Empty(t, r.health.sick)
			release()
		})
	}
}

// stuck is a replica whose DataNode does not answer until it is released.
func stuck() (rep *replica, asked <-chan struct{}, release func()) {
	rep = newReplica(nil)
	got, stay := make(chan struct{}, maxReading), make(chan struct{})
	rep.opened = func(*wire.OpReadBlock) *wire.BlockOpResponse {
		got <- struct{}{}
		<-stay
		return nil
	}
	return rep, got, func() { close(stay) }
}
