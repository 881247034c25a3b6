package datanode

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// spoiling returns data, and a replica of it that a test may damage.
func spoiling(n int, spoil func(p *sending) bool) ([]byte, *replica) {
	data := noise(n)
	bad := newReplica(data)
	bad.packet = 2048
	bad.sending = spoil
	return data, bad
}

// at spoils the packet that holds a byte of the block.
func at(place int64, spoil func(p *sending, i int) bool) func(p *sending) bool {
	return func(p *sending) bool {
		i := int(place - p.header.GetOffsetInBlock())
		if i < 0 || i >= len(p.data) {
			return true
		}
		return spoil(p, i)
	}
}

func flipData(p *sending, i int) bool { p.data[i] ^= 1; return true }

func flipSum(p *sending, i int) bool { p.sums[i/ChunkBytes*sumBytes+1] ^= 0x80; return true }

func TestAReplicaThatFailsIsReplaced(t *testing.T) {
	// What is read is 1000 to 9000: chunks from 512 to 9216.
	for name, c := range map[string]struct {
		spoil  func(p *sending) bool
		opened func(*wire.OpReadBlock) *wire.BlockOpResponse
		reason string
	}{
		"a byte that is wanted is damaged":      {spoil: at(5000, flipData), reason: ReasonChecksum},
		"its checksum is":                       {spoil: at(5000, flipSum), reason: ReasonChecksum},
		"a byte before, in the first chunk":     {spoil: at(600, flipData), reason: ReasonChecksum},
		"a byte behind, in the last chunk":      {spoil: at(9200, flipData), reason: ReasonChecksum},
		"the last chunk's checksum":             {spoil: at(9200, flipSum), reason: ReasonChecksum},
		"the connection ends in the middle":     {spoil: at(5000, func(*sending, int) bool { return false }), reason: ReasonError},
		"the connection ends before any packet": {spoil: at(600, func(*sending, int) bool { return false }), reason: ReasonError},
		"its last packet comes too early": {reason: ReasonMissing, spoil: at(5000, func(p *sending, _ int) bool {
			*p.header.LastPacketInBlock, *p.header.DataLen, p.data, p.sums = true, 0, nil, nil
			return true
		})},
		"a packet is left out": {reason: ReasonError, spoil: at(5000, func(p *sending, _ int) bool {
			*p.header.OffsetInBlock += 2048
			return true
		})},
		"a packet has fewer bytes than it says": {reason: ReasonError, spoil: at(5000, func(p *sending, _ int) bool {
			*p.header.DataLen++
			return true
		})},
		"a packet says that it has less than no bytes": {reason: ReasonError, spoil: at(5000, func(p *sending, _ int) bool {
			*p.header.DataLen = -1
			return true
		})},
		"a packet of half a chunk in the middle": {reason: ReasonError, spoil: at(5000, func(p *sending, _ int) bool {
			*p.header.DataLen = 100
			p.data = p.data[:100]
			p.sums = binary.BigEndian.AppendUint32(nil, crc32.Checksum(p.data, castagnoli))
			return true
		})},
		"the DataNode does not have it": {reason: ReasonMissing, opened: func(*wire.OpReadBlock) *wire.BlockOpResponse {
			return refusal("opReadBlock received exception org.apache.hadoop.hdfs.server.datanode.ReplicaNotFoundException: Replica not found")
		}},
		"the DataNode has lost its file": {reason: ReasonMissing, opened: func(*wire.OpReadBlock) *wire.BlockOpResponse {
			return refusal("opReadBlock received exception java.io.FileNotFoundException: BlockId 1073741825 is not valid.")
		}},
		"it is being written and shorter": {reason: ReasonMissing, opened: func(*wire.OpReadBlock) *wire.BlockOpResponse {
			return refusal("opReadBlock received exception java.io.IOException: Need 9000 bytes, but only 512 bytes available")
		}},
		"the DataNode refuses": {reason: ReasonError, opened: func(*wire.OpReadBlock) *wire.BlockOpResponse {
			return refusal("Replica gen stamp < block genstamp")
		}},
		"the answer has no checksums": {reason: ReasonError, opened: func(*wire.OpReadBlock) *wire.BlockOpResponse {
			return &wire.BlockOpResponse{Status: wire.Status_SUCCESS.Enum()}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			data, rep := spoiling(10_000, c.spoil)
			rep.opened = c.opened
			bad, good := offering(t, rep), offering(t, newReplica(data))
			r, failed := reads(t, ReadConfig{StallTimeout: time.Minute})
			block := blockOn(bad, good)
			requireRead(t, r, block, data, 1000, 8000)
			want := []string{bad.info.GetId().GetDatanodeUuid() + " " + c.reason}
			require.Equal(t, want, failed.list())

			requireRead(t, r, block, data, 1000, 8000)
			require.Equal(t, want, failed.list(), "it is not tried first again")
		})
	}
}

func TestDamageOutsideOfTheChunksThatAreReadDoesNotMatter(t *testing.T) {
	data, rep := spoiling(10_000, func(p *sending) bool {
		return at(0, flipData)(p) && at(9999, flipData)(p)
	})
	r, failed := reads(t, ReadConfig{})
	requireRead(t, r, blockOn(offering(t, rep)), data, 1000, 8000)
	require.Empty(t, failed.list())
}

func TestAShorterReplicaIsReplaced(t *testing.T) {
	data := noise(5000)
	short, whole := offering(t, newReplica(data[:4000])), offering(t, newReplica(data))
	r, failed := reads(t, ReadConfig{})
	requireRead(t, r, blockOn(short, whole), data, 0, 5000)
	require.Equal(t, []string{short.info.GetId().GetDatanodeUuid() + " missing"}, failed.list())
}

func TestADeadDataNodeIsReplaced(t *testing.T) {
	data := noise(5000)
	dead, other := listening(t), offering(t, newReplica(data))
	require.NoError(t, dead.listener.Close())
	r, failed := reads(t, ReadConfig{})
	requireRead(t, r, blockOn(dead, other), data, 0, 5000)
	require.Equal(t, []string{dead.info.GetId().GetDatanodeUuid() + " connect"}, failed.list())

	another := blockOn(dead, other)
	*another.Block.BlockId++
	requireRead(t, r, another, data, 0, 5000)
	require.Len(t, failed.list(), 1, "nor is it tried first for other blocks")
}

func TestADamagedReplicaSaysNothingOfOthersOnThatDataNode(t *testing.T) {
	data, rep := spoiling(5000, at(0, flipData))
	bad, good := offering(t, rep), offering(t, newReplica(data))
	r, failed := reads(t, ReadConfig{})
	requireRead(t, r, blockOn(bad, good), data, 0, 10)
	another := blockOn(bad, good)
	*another.Block.BlockId++
	requireRead(t, r, another, data, 1000, 10)
	require.Len(t, failed.list(), 1)
	_, n, _ := bad.served()
	require.Equal(t, 2, n)
}

func TestADataNodeThatStallsIsReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		after int // operations and packets
		takes time.Duration
	}{
		"before it answers": {0, answerTimeout},
		"in the middle":     {2, stallTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				n := 0
				wait := func() bool {
					if n++; n > c.after {
						<-release
						return false
					}
					return true
				}
				data, rep := spoiling(10_000, func(*sending) bool { return wait() })
				rep.opened = func(*wire.OpReadBlock) *wire.BlockOpResponse { wait(); return nil }
				stalls, other := newFakeNode(t, 1), newFakeNode(t, 2)
				stalls.replica, other.replica = rep, newReplica(data)
				r, failed := reads(t, ReadConfig{Dial: piped(stalls, other)})
				begun := time.Now()
				requireRead(t, r, blockOn(stalls, other), data, 0, 10_000)
				require.Equal(t, c.takes, time.Since(begun))
				require.Equal(t, []string{"node-1 timeout"}, failed.list())
				close(release)
				r.Close()
				stalls.close()
				other.close()
			})
		})
	}
}

func TestWhatAllReplicasHaveInCommonIsTold(t *testing.T) {
	data, damaged := spoiling(5000, at(0, flipData))
	lost := newReplica(nil)
	for name, c := range map[string]struct {
		replicas []*replica
		want     []string
		is       error
		isNot    error
		says     string
	}{
		"all are damaged":            {[]*replica{damaged, damaged}, []string{ReasonChecksum, ReasonChecksum}, ErrDamaged, ErrMissing, "checksum mismatch in the chunk at 0"},
		"all are missing":            {[]*replica{lost, lost}, []string{ReasonMissing, ReasonMissing}, ErrMissing, ErrDamaged, "it answered ERROR: "},
		"one is damaged, one is not": {[]*replica{damaged, lost}, []string{ReasonChecksum, ReasonMissing}, nil, ErrDamaged, "; DataNode"},
		"there is none":              {nil, nil, nil, ErrMissing, "block 1073741825: no DataNode is known to have it"},
	} {
		t.Run(name, func(t *testing.T) {
			var nodes []*fakeNode
			for _, one := range c.replicas {
				nodes = append(nodes, offering(t, one))
			}
			r, failed := reads(t, ReadConfig{})
			err := r.ReadAt(t.Context(), blockOn(nodes...), make([]byte, len(data)), 0)
			var all *ReplicasError
			require.ErrorAs(t, err, &all)
			var got []string
			for i, one := range all.Replicas {
				got = append(got, one.Reason)
				require.Equal(t, nodes[i].info, one.Node)
			}
			require.Equal(t, c.want, got)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			require.NotErrorIs(t, err, c.isNot)
			require.ErrorContains(t, err, c.says)
			require.Len(t, failed.list(), max(0, len(nodes)-1), "nothing comes after the last one")
		})
	}
}

func TestATimeoutOfADataNodeIsNotTheCallers(t *testing.T) {
	r, _ := reads(t, ReadConfig{Dial: func(context.Context, string) (net.Conn, error) { return nil, context.DeadlineExceeded }})
	err := r.ReadAt(t.Context(), blockOn(newFakeNode(t, 1)), make([]byte, 1), 0)
	require.Error(t, err)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.EqualError(t, err, "block 1073741825: no replica could be read: DataNode 127.0.0.1:1: connect: context deadline exceeded")
}
