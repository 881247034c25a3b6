package talos

import "fmt"

// Durability is what an acknowledgement of a topic's records says of them. The
// empty one is Sync.
type Durability string

// The durabilities. A store that has nothing weaker than Sync gives that.
const (
	// Sync: synced to disk, on HDFS by every DataNode of the segment.
	Sync Durability = "sync"
	// Flush: on HDFS, in the memory of every DataNode of the segment.
	Flush Durability = "flush"
)

// Survives says, for people, what an acknowledged record outlives.
func (d Durability) Survives() string {
	if d == Flush {
		return "a crash of the node, and of all DataNodes of a segment but one; not the loss of power of all of them at once (stores other than HDFS sync all the same)"
	}
	return "a crash of everything at once, and the loss of power; on HDFS also the loss of all DataNodes of a segment but one with their disks"
}

// Validate returns an error unless d is a known one or empty.
func (d Durability) Validate() error {
	switch d {
	case "", Sync, Flush:
		return nil
	default:
		return fmt.Errorf("durability is %q, want %s or %s", string(d), Sync, Flush)
	}
}
