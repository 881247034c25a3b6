package schedule

import (
	"encoding/binary"
	"strings"

	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"

	"github.com/talos-log/talos/talos"
)

const (
	// virtualNodes is the places of one node on the ring. With few, a change of
	// membership also moves partitions between nodes that stay.
	virtualNodes = 200
	// ringSlots is what the library calls partitions: partitions of ours that hash to
	// the same one have the same home. A prime, many times the number of nodes.
	ringSlots = 4093
	// ringLoad is how much more than the average of the slots a node may have.
	ringLoad = 1.1
)

// ring finds the homes of partitions. It is built when it is first asked, since
// most plans never ask.
type ring struct {
	members []string
	built   *consistent.Consistent
}

// home is where a partition belongs among the members; empty without any.
func (r *ring) home(id talos.PartitionID) string {
	if len(r.members) == 0 {
		return ""
	}
	if r.built == nil {
		members := make([]consistent.Member, len(r.members))
		for i, m := range r.members {
			members[i] = ringMember(m)
		}
		r.built = consistent.New(members, consistent.Config{
			Hasher: hasher{}, PartitionCount: ringSlots, ReplicationFactor: virtualNodes, Load: ringLoad,
		})
	}
	key := binary.BigEndian.AppendUint32(id.Topic[:], uint32(id.Number))
	return strings.TrimSuffix(r.built.LocateKey(key).String(), ringSuffix)
}

type ringMember string

// ringSuffix keeps a node's id apart from the number of the virtual node, which the
// library writes behind it.
const ringSuffix = "#"

func (m ringMember) String() string { return string(m) + ringSuffix }

type hasher struct{}

func (hasher) Sum64(data []byte) uint64 { return xxhash.Sum64(data) }
