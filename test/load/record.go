package load

import (
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/history"
)

const (
	// idHeader holds a record's id.
	idHeader = "id"
	// run is how many records in a row a producer sends to one partition.
	run = 7
)

// epoch is the timestamp of each producer's first record; each later one is a
// millisecond after the one before.
var epoch = time.UnixMilli(1_700_000_000_000)

// Record returns the record of an id: the same for the same lines, always.
func Record(id history.ID, lines [][]byte) talos.Record {
	n := id.Producer + id.Sequence
	r := talos.Record{
		Value:     lines[id.Sequence%len(lines)],
		Headers:   []talos.Header{{Key: idHeader, Value: []byte(id.String())}},
		Timestamp: epoch.Add(time.Duration(id.Sequence) * time.Millisecond),
	}
	switch n % 4 {
	case 0:
		r.Key = []byte(id.String())
	case 1:
		r.Key = []byte{}
	case 2:
		r.Headers = append(r.Headers, talos.Header{Key: "\x00", Value: []byte{0xff, '\r', '\n'}})
	}
	return r
}

// PartitionOf returns where a record goes.
func PartitionOf(id history.ID, partitions int32) int32 {
	return int32((id.Producer + id.Sequence/run) % int(partitions))
}

// IDOf reads the id out of a record.
func IDOf(r *talos.Record) (history.ID, error) {
	for i := range r.Headers {
		if r.Headers[i].Key == idHeader {
			return history.ParseID(string(r.Headers[i].Value))
		}
	}
	return history.ID{}, fmt.Errorf("a record without the header %q", idHeader)
}
