package coordinator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/talos-log/talos/talos"
)

// Handover is a planned move: the owner closes the partition, and then makes To
// the owner itself.
type Handover struct {
	To string
	// Since is when the scheduler asked for it, by its clock.
	Since time.Time
}

// Assignment says who owns the partitions of one topic. It is not changed once
// others see it.
type Assignment struct {
	// Owners has a node's id for each partition; empty for nobody.
	Owners []string
	// Next are the moves under way, by partition.
	Next map[int32]Handover
	// Revision is the transaction that wrote it; 0 if there is none.
	Revision int64
}

// Owner returns the owner of a partition; empty for nobody.
func (a Assignment) Owner(partition int32) string {
	if partition < 0 || int(partition) >= len(a.Owners) {
		return ""
	}
	return a.Owners[partition]
}

// clone returns a copy with at least n partitions, which may be changed.
func (a Assignment) clone(n int32) Assignment {
	next := Assignment{Owners: slices.Clone(a.Owners), Next: maps.Clone(a.Next), Revision: a.Revision}
	for len(next.Owners) < int(n) {
		next.Owners = append(next.Owners, "")
	}
	if next.Next == nil {
		next.Next = make(map[int32]Handover)
	}
	return next
}

// assignmentValue is how an Assignment is stored: each id once, and indexes.
type assignmentValue struct {
	Nodes  []string                 `json:"nodes"`
	Owners []int32                  `json:"owners"`
	Next   map[string]handoverValue `json:"next,omitempty"`
}

type handoverValue struct {
	To          int32 `json:"to"`
	SinceMillis int64 `json:"since_ms"`
}

const nobody = -1

func (v assignmentValue) validate() error {
	for i, owner := range v.Owners {
		if owner < nobody || int(owner) >= len(v.Nodes) {
			return fmt.Errorf("the owner of partition %d is %d, of %d nodes", i, owner, len(v.Nodes))
		}
	}
	for number, next := range v.Next {
		if next.To < 0 || int(next.To) >= len(v.Nodes) {
			return fmt.Errorf("partition %s goes to %d, of %d nodes", number, next.To, len(v.Nodes))
		}
	}
	if slices.Contains(v.Nodes, "") {
		return errors.New("a node's id is empty")
	}
	return nil
}

func decodeAssignment(e Entry) (Assignment, error) {
	a := Assignment{Revision: e.Revision}
	if e.Revision == 0 {
		return a, nil
	}
	v, err := decode(e, assignmentValue.validate)
	if err != nil {
		return a, err
	}
	a.Owners = make([]string, len(v.Owners))
	for i, owner := range v.Owners {
		if owner != nobody {
			a.Owners[i] = v.Nodes[owner]
		}
	}
	if len(v.Next) > 0 {
		a.Next = make(map[int32]Handover, len(v.Next))
	}
	for text, next := range v.Next {
		number, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return Assignment{Revision: e.Revision}, malformed(e, err)
		}
		a.Next[int32(number)] = Handover{To: v.Nodes[next.To], Since: time.UnixMilli(next.SinceMillis)}
	}
	return a, nil
}

// put makes the operation that stores an assignment.
func (a Assignment) put(topic talos.TopicID) (Op, error) {
	v := assignmentValue{Nodes: []string{}, Owners: make([]int32, len(a.Owners)), Next: make(map[string]handoverValue, len(a.Next))}
	places := make(map[string]int32)
	place := func(id string) int32 {
		if id == "" {
			return nobody
		}
		i, ok := places[id]
		if !ok {
			i = int32(len(v.Nodes))
			places[id] = i
			v.Nodes = append(v.Nodes, id)
		}
		return i
	}
	for i, owner := range a.Owners {
		v.Owners[i] = place(owner)
	}
	for number, next := range a.Next {
		v.Next[strconv.FormatInt(int64(number), 10)] = handoverValue{To: place(next.To), SinceMillis: next.Since.UnixMilli()}
	}
	key := assignmentKey(topic)
	value, err := encode(key, v)
	return Put(key, value), err
}
