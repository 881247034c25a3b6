package sdk_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// The hashes are those of Kafka's own test of the function (UtilsTest); the
// partition is the hash without its sign.
func TestKeyPartitionIsKafkas(t *testing.T) {
	for key, hash := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		const many = 1<<31 - 1
		require.Equalf(t, hash&many%many, sdk.KeyPartition([]byte(key), many), "%q", key)
		require.Equalf(t, hash&many%7, sdk.KeyPartition([]byte(key), 7), "%q", key)
	}
}

func TestByKeyHash(t *testing.T) {
	choose := sdk.ByKeyHash()
	require.Equal(t, sdk.KeyPartition([]byte("k"), 5), choose(&talos.Record{Key: []byte("k")}, 5))
	require.Equal(t, sdk.KeyPartition(nil, 5), choose(&talos.Record{Key: []byte{}}, 5), "an empty key is a key")
	first := choose(&talos.Record{}, 100)
	for range 50 {
		require.Equal(t, first, choose(&talos.Record{}, 100), "records without a key stay together")
	}
}

// Sticky stays for 64 KiB, goes elsewhere then, and reaches every partition, also
// those that are added.
func TestSticky(t *testing.T) {
	choose := sdk.Sticky()
	r := talos.Record{Key: []byte("ignored"), Value: make([]byte, 1000)}
	reached := make(map[int32]int)
	last, run := int32(-1), 0
	for i := range 100_000 {
		count := int32(3)
		if i > 50_000 {
			count = 4
		}
		p := choose(&r, count)
		require.True(t, 0 <= p && p < count)
		reached[p]++
		if p == last {
			run++
			require.LessOrEqual(t, run, 64<<10/1000)
			continue
		}
		require.True(t, last < 0 || run > 40, "%d", run)
		last, run = p, 1
	}
	require.Len(t, reached, 4)
	require.Zero(t, sdk.Sticky()(&r, 1))
}

func TestRoundRobin(t *testing.T) {
	choose := sdk.RoundRobin()
	var got []int32
	for i := range 7 {
		got = append(got, choose(&talos.Record{}, int32(3+i/4)))
	}
	require.Equal(t, []int32{0, 1, 2, 0, 1, 2, 3}, got)
}

// Records that name no partition go where the partitioner says, one that names one
// goes there.
func TestSendByPartitioner(t *testing.T) {
	n := newNode(3)
	own := func(r *talos.Record, count int32) int32 { return int32(len(r.Value)) % count }
	producing(t, n, []sdk.ProducerOpt{sdk.ProducerPartitioner(own)}, func(t *testing.T, p *sdk.Producer) {
		for i := range 5 {
			d, err := p.SendSync(t.Context(), sdk.PartitionAny, value(fmt.Sprintf("%*s", i, "")))
			require.NoError(t, err)
			require.EqualValues(t, i%3, d.Partition)
		}
		d, err := p.SendSync(t.Context(), 2, value(""))
		require.NoError(t, err)
		require.EqualValues(t, 2, d.Partition)
		require.NoError(t, p.Close(t.Context()))
	})

	wild := func(*talos.Record, int32) int32 { return 3 }
	producing(t, newNode(3), []sdk.ProducerOpt{sdk.ProducerPartitioner(wild)}, func(t *testing.T, p *sdk.Producer) {
		require.ErrorIs(t, p.Send(t.Context(), sdk.PartitionAny, value("x"), nil), talos.UnknownPartition)
	})
}
