package talos_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
)

func TestRecordSize(t *testing.T) {
	for _, c := range []struct {
		name   string
		record talos.Record
		want   int
	}{
		{"nothing", talos.Record{}, 0},
		{"key and value", talos.Record{Key: make([]byte, 3), Value: make([]byte, 4)}, 7},
		{"a header", talos.Record{Headers: []talos.Header{{Key: "ab", Value: make([]byte, 5)}}}, 2 + 5 + 16},
		{"empty headers", talos.Record{Headers: make([]talos.Header, 10)}, 160},
	} {
		require.Equal(t, c.want, c.record.Size(), c.name)
	}
}

// Each layer takes what the one before it takes.
func TestLimitsDeriveFromTheRecordLimit(t *testing.T) {
	for _, l := range []talos.Limits{talos.DefaultLimits(), {RecordBytes: 1}, {RecordBytes: 100 << 20}} {
		require.Greater(t, l.BatchBytes(), l.RecordBytes)
		require.Greater(t, l.RequestBytes(), l.BatchBytes())
		require.Greater(t, l.ResponseBytes(), talos.MaxFetchBytes+l.BatchBytes())
	}
	require.Equal(t, 1<<20+64<<10, talos.DefaultLimits().BatchBytes())
}

func TestPartitionRecord(t *testing.T) {
	r := talos.NewPartitionRecord()
	require.Equal(t, talos.PartitionRecord{Start: talos.LogStart{Number: 1}}, r)
	require.Equal(t, "epoch 0, tail 0, start 1 at offset 0", r.String())
}
