package partition

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// link is one segment of the chain.
type link struct {
	name   talos.SegmentName
	size   int64
	sealed bool
}

// deriveChain picks the partition's chain out of a listing that was made after
// rec's epoch was raised. What is not in it is garbage: creates of deposed
// owners, and foreign names.
func deriveChain(id talos.PartitionID, rec talos.PartitionRecord, segments []storage.Info) ([]link, error) {
	newest := map[talos.SegmentNumber]link{}
	for _, s := range segments {
		name, err := talos.ParseSegmentName(s.Name)
		if err != nil {
			continue
		}
		if name.Epoch >= rec.Epoch || name.Number > rec.Tail+1 {
			return nil, &talos.Error{
				Kind: talos.RestoredRecord, Op: "partition.Open", Subject: id.String(),
				Detail: fmt.Sprintf("the record says %v, yet there is segment %v", rec, name),
			}
		}
		if name.Number < rec.Start.Number || name.Number > rec.Tail || newest[name.Number].name.Epoch > name.Epoch {
			continue
		}
		newest[name.Number] = link{name: name, size: s.Size, sealed: s.Sealed}
	}
	var chain []link
	for n := rec.Start.Number; n <= rec.Tail; n++ {
		l, ok := newest[n]
		if !ok {
			return nil, brokenChain(id, "segment number %d is missing; the chain goes from %d to %d", n, rec.Start.Number, rec.Tail)
		}
		chain = append(chain, l)
	}
	return chain, checkBases(id, rec, chain)
}

// checkBases finds links that can't follow each other. Whether a link's data
// reaches up to the next base shows when it is read.
func checkBases(id talos.PartitionID, rec talos.PartitionRecord, chain []link) error {
	if len(chain) > 0 && chain[0].name.Base > rec.Start.Offset {
		return brokenChain(id, "it starts at offset %d, its first segment is %v", rec.Start.Offset, chain[0].name)
	}
	for i := 1; i < len(chain); i++ {
		if prev, next := chain[i-1].name, chain[i].name; next.Base < prev.Base || next.Epoch < prev.Epoch {
			return brokenChain(id, "segment %v can't follow %v", next, prev)
		}
	}
	return nil
}

func brokenChain(id talos.PartitionID, format string, args ...any) error {
	return &talos.Error{
		Kind: talos.BrokenChain, Op: "partition.Open", Subject: id.String(),
		Detail: fmt.Sprintf(format, args...),
	}
}

// locate returns the index of the link that holds offset, the last one whose
// base is not above it, and the offset at which that link's validity ends.
func locate(chain []link, offset, end talos.Offset) (i int, limit talos.Offset) {
	i, found := slices.BinarySearchFunc(chain, offset, func(l link, o talos.Offset) int {
		return cmp.Compare(l.name.Base, o)
	})
	if found {
		// Of several links with one base, all but the last are empty.
		for i+1 < len(chain) && chain[i+1].name.Base == offset {
			i++
		}
	} else {
		i--
	}
	if i+1 < len(chain) {
		return i, chain[i+1].name.Base
	}
	return i, end
}
