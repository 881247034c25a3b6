package partition

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

func name(number talos.SegmentNumber, epoch talos.Epoch, base talos.Offset) talos.SegmentName {
	return talos.SegmentName{Number: number, Epoch: epoch, Base: base}
}

func record(epoch talos.Epoch, tail, startNumber talos.SegmentNumber, startOffset talos.Offset) talos.PartitionRecord {
	return talos.PartitionRecord{Epoch: epoch, Tail: tail, Start: talos.LogStart{Number: startNumber, Offset: startOffset}}
}

func TestChainIsTheHighestEpochOfEachNumber(t *testing.T) {
	for _, c := range []struct {
		what   string
		rec    talos.PartitionRecord
		folder []talos.SegmentName
		chain  []talos.SegmentName
		kind   talos.Kind
	}{
		{"nothing yet", record(1, 0, 1, 0), nil, nil, ""},
		{
			"a create that its owner could not commit is garbage", record(3, 1, 1, 0),
			[]talos.SegmentName{name(1, 1, 0), name(2, 2, 7)},
			[]talos.SegmentName{name(1, 1, 0)},
			"",
		},
		{
			"a deposed owner's late create does not hide the committed segment", record(4, 2, 1, 0),
			[]talos.SegmentName{name(1, 1, 0), name(2, 1, 5), name(2, 2, 9)},
			[]talos.SegmentName{name(1, 1, 0), name(2, 2, 9)},
			"",
		},
		{
			"what lies before the start is not part of it", record(4, 3, 2, 10),
			[]talos.SegmentName{name(1, 1, 0), name(2, 1, 5), name(3, 3, 20)},
			[]talos.SegmentName{name(2, 1, 5), name(3, 3, 20)},
			"",
		},
		{"a missing number", record(3, 2, 1, 0), []talos.SegmentName{name(2, 2, 9)}, nil, talos.BrokenChain},
		{"a missing tail", record(3, 2, 1, 0), []talos.SegmentName{name(1, 2, 0)}, nil, talos.BrokenChain},
		{"bases that go back", record(3, 2, 1, 0), []talos.SegmentName{name(1, 1, 9), name(2, 2, 8)}, nil, talos.BrokenChain},
		{"a start before the first segment", record(3, 1, 1, 4), []talos.SegmentName{name(1, 1, 5)}, nil, talos.BrokenChain},
		{"an epoch that was not given out yet", record(3, 1, 1, 0), []talos.SegmentName{name(1, 3, 0)}, nil, talos.RestoredRecord},
		{
			"a number too far above the tail", record(9, 1, 1, 0),
			[]talos.SegmentName{name(1, 1, 0), name(2, 2, 5), name(3, 3, 6)},
			nil, talos.RestoredRecord,
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			infos := []storage.Info{{Name: "not-a-segment"}}
			for _, n := range c.folder {
				infos = append(infos, storage.Info{Name: n.String()})
			}
			chain, err := deriveChain(talos.PartitionID{}, c.rec, infos)
			if c.kind != "" {
				require.ErrorIs(t, err, c.kind)
				return
			}
			require.NoError(t, err)
			var names []talos.SegmentName
			for _, l := range chain {
				names = append(names, l.name)
			}
			require.Equal(t, c.chain, names)
		})
	}
}

func TestLocateSkipsEmptyLinksOfTheSameBase(t *testing.T) {
	chain := []link{{name: name(1, 1, 0)}, {name: name(2, 1, 5)}, {name: name(3, 2, 5)}, {name: name(4, 3, 5)}, {name: name(5, 3, 8)}}
	for _, c := range []struct {
		offset talos.Offset
		number talos.SegmentNumber
		limit  talos.Offset
	}{{0, 1, 5}, {4, 1, 5}, {5, 4, 8}, {7, 4, 8}, {8, 5, 12}, {11, 5, 12}} {
		i, limit := locate(chain, c.offset, 12)
		require.Equal(t, c.number, chain[i].name.Number, "offset %d", c.offset)
		require.Equal(t, c.limit, limit, "offset %d", c.offset)
	}
}
