package history

import (
	"cmp"
	"maps"
	"slices"

	"github.com/talos-log/talos/talos"
)

// checkOwners looks at the epochs of acknowledgements. An acknowledgement without
// one says nothing.
func (c *checker) checkOwners() {
	byPartition := map[int32][]*send{}
	for _, s := range c.history.sends {
		if s.outcome == acked && s.ack.Epoch != 0 {
			byPartition[s.partition] = append(byPartition[s.partition], s)
		}
	}
	for _, partition := range slices.Sorted(maps.Keys(byPartition)) {
		c.checkTurns(byPartition[partition])
		c.checkDeposed(byPartition[partition])
	}
}

// checkTurns goes along the offsets: owners take turns, each one begins where the
// one before ended. Who answers a duplicate did not store it.
func (c *checker) checkTurns(sends []*send) {
	var stored []*send
	for _, s := range sends {
		if !s.ack.Duplicate {
			stored = append(stored, s)
		}
	}
	slices.SortFunc(stored, func(a, b *send) int {
		return cmp.Or(cmp.Compare(a.ack.Offset, b.ack.Offset), cmp.Compare(a.ack.Epoch, b.ack.Epoch))
	})
	for i := 1; i < len(stored); i++ {
		a, b := stored[i-1], stored[i]
		if a.ack.Epoch > b.ack.Epoch || a.ack.Offset == b.ack.Offset && a.ack.Epoch != b.ack.Epoch {
			c.found(TwoOwners, "%v was acknowledged at %v under epoch %d, %v at %v under epoch %d",
				a.id, a.ack.position(), a.ack.Epoch, b.id, b.ack.position(), b.ack.Epoch)
		}
	}
}

// checkDeposed goes along the time: what was sent after a new owner was heard, an
// older one must not acknowledge.
func (c *checker) checkDeposed(sends []*send) {
	heard := slices.SortedFunc(slices.Values(sends), func(a, b *send) int { return cmp.Compare(a.ended, b.ended) })
	slices.SortFunc(sends, func(a, b *send) int { return cmp.Compare(a.sent, b.sent) })
	var newest talos.Epoch
	var by ID
	next := 0
	for _, s := range sends {
		for ; next < len(heard) && heard[next].ended < s.sent; next++ {
			if heard[next].ack.Epoch > newest {
				newest, by = heard[next].ack.Epoch, heard[next].id
			}
		}
		if s.ack.Epoch < newest {
			c.found(DeposedOwner, "%v was acknowledged under epoch %d, and sent after the acknowledgement of %v under epoch %d",
				s.id, s.ack.Epoch, by, newest)
		}
	}
}
