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
	for name, c := range map[string]struct {
		dead  string
		looks [][]*wire.DatanodeInfo
		want  bool
	}{
		"the dead one was heard of last":          {"b", [][]*wire.DatanodeInfo{heard(10, 20, 15)}, false},
		"at the same time":                        {"b", [][]*wire.DatanodeInfo{heard(20, 20, 15)}, false},
		"one that lives was heard of since":       {"b", [][]*wire.DatanodeInfo{heard(10, 20, 15), heard(10, 20, 21)}, true},
		"two are dead":                            {"ab", [][]*wire.DatanodeInfo{heard(30, 10, 20)}, false},
		"all are dead":                            {"abc", [][]*wire.DatanodeInfo{heard(30, 10, 20)}, true},
		"the dead one is heard of: it lives":      {"b", [][]*wire.DatanodeInfo{heard(10, 20, 15), heard(10, 30, 15)}, true},
		"nothing is known of the block":           {"b", [][]*wire.DatanodeInfo{nil}, true},
		"a NameNode that does not say when":       {"b", [][]*wire.DatanodeInfo{heard(0, 0, 0)}, false},
		"another one was heard of from the first": {"b", [][]*wire.DatanodeInfo{heard(30, 20, 15)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			dead, first := map[string]bool{}, map[string]uint64{}
			for _, one := range c.dead {
				dead[string(one)] = true
			}
			var got bool
			for _, nodes := range c.looks {
				got = outlived(nodes, dead, first)
			}
			require.Equal(t, c.want, got)
		})
	}
}
