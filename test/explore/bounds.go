package explore

import (
	"fmt"

	"github.com/talos-log/talos/talos"
)

// Bounds keeps an exploration finite.
type Bounds struct {
	// Owners start in this order; a name that comes again is a restart.
	Owners []string
	// Appends is how many records each owner is asked to store, one after the
	// other.
	Appends []int
	// Back lets the partition be assigned to the first owner again, once, after the
	// last one has started, while the first one never stopped.
	Back bool
	// Twice sends each record twice at once, as an impatient producer does.
	Twice bool
	// Again makes each owner's client begin with the record that was acknowledged
	// last, as if that answer had been lost.
	Again bool
	// Trim makes the last owner, behind its appends, move the log start to the end
	// that it sees. A minute then passes once, at any moment, so that removals begin.
	Trim bool
	// SegmentBytes of 1 makes each append roll.
	SegmentBytes int64
	// Faults is how many calls may fail or be ambiguous, Late how many of those may
	// take effect later, Crashes how many owners may crash.
	Faults, Late, Crashes int
}

// maxOwners bounds len(Bounds.Owners), the one that looks in the end not counted.
const maxOwners = 7

var topic = talos.Topic{Name: "explored", ID: talos.TopicID{1}, Partitions: 1}

// role of the n-th owner; the one behind the last only looks.
func (b Bounds) role(n int, late bool) role {
	if n == len(b.Owners) {
		return role{late: late}
	}
	return role{appends: b.Appends[n], trims: b.Trim && n == len(b.Owners)-1, late: late}
}

func (b Bounds) name(n int) string {
	if n == len(b.Owners) {
		return "final"
	}
	return fmt.Sprintf("%s%d", b.Owners[n], n)
}
