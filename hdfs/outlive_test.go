package hdfs

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// heard are three DataNodes with the times at which the NameNode heard of them last.
func heard(a, b, c uint64) []*wire.DatanodeInfo {
	var nodes []*wire.DatanodeInfo
	for i, at := range []uint64{a, b, c} {
		nodes = append(nodes, &wire.DatanodeInfo{
			Id: &wire.DatanodeID{DatanodeUuid: proto.String(string(rune('a' + i)))}, LastUpdateMonotonic: &at,
		})
	}
	return nodes
}

func TestARecoveryWaitsUntilTheLivingAreHeardOfLast(t *testing.T) {
	b, ab, back := states{"b": dead}, states{"a": dead, "b": dead}, states{"a": unwilling, "b": unwilling, "c": unwilling}
	for name, c := range map[string]struct {
		states states
		looks  [][]*wire.DatanodeInfo
		// once is the answer when the NameNode is asked for the first time, again when
		// it was asked before.
		once, again bool
	}{
		"the dead one was heard of last":           {b, [][]*wire.DatanodeInfo{heard(10, 20, 15)}, false, false},
		"at the same time":                         {b, [][]*wire.DatanodeInfo{heard(20, 20, 15)}, false, false},
		"one that lives was heard of since":        {b, [][]*wire.DatanodeInfo{heard(10, 20, 15), heard(10, 20, 21)}, true, false},
		"all that live were heard of since":        {b, [][]*wire.DatanodeInfo{heard(10, 20, 15), heard(22, 20, 21)}, true, true},
		"two are dead":                             {ab, [][]*wire.DatanodeInfo{heard(30, 10, 20)}, false, false},
		"two are dead, the third was heard of":     {ab, [][]*wire.DatanodeInfo{heard(30, 10, 20), heard(30, 10, 31)}, true, true},
		"the dead one is heard of: it lives":       {b, [][]*wire.DatanodeInfo{heard(10, 20, 15), heard(10, 30, 15)}, true, true},
		"nothing is known of the block":            {b, [][]*wire.DatanodeInfo{nil}, true, true},
		"a NameNode that does not say when":        {b, [][]*wire.DatanodeInfo{heard(0, 0, 0)}, false, false},
		"another one was heard of from the first":  {b, [][]*wire.DatanodeInfo{heard(30, 20, 15)}, true, false},
		"all are back, and none was heard of":      {back, [][]*wire.DatanodeInfo{heard(30, 20, 15), heard(30, 20, 15)}, false, false},
		"the last one is back":                     {back, [][]*wire.DatanodeInfo{heard(30, 20, 15), heard(30, 20, 40)}, true, false},
		"all are back":                             {back, [][]*wire.DatanodeInfo{heard(30, 20, 15), heard(41, 42, 40)}, true, true},
		"one is back, and another was never gone":  {states{"a": unwilling}, [][]*wire.DatanodeInfo{heard(30, 35, 15)}, true, false},
		"it is back, and was heard of since":       {states{"a": unwilling}, [][]*wire.DatanodeInfo{heard(30, 35, 15), heard(40, 35, 15)}, true, true},
		"one is back and was heard of, one is not": {states{"a": unwilling, "b": dead}, [][]*wire.DatanodeInfo{heard(30, 35, 15), heard(40, 35, 15)}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			for once, want := range map[bool]bool{true: c.once, false: c.again} {
				first := map[string]uint64{}
				var got bool
				for _, nodes := range c.looks {
					got = outlived(nodes, c.states, first, once)
				}
				require.Equal(t, want, got, "for the first time: %v", once)
			}
		})
	}
}
