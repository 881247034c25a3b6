package segment

import (
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/talos-log/talos/talos"
)

const (
	// IndexInterval is the least distance of two index entries, in bytes.
	IndexInterval = 64 << 10

	// The distance doubles every indexTier entries, and there are never more than
	// maxIndexEntries: so the footer of a segment of any size fits a frame.
	indexTier       = 8 << 10
	maxIndexEntries = 8 * indexTier
	indexEntryBytes = 24
)

// IndexEntry says where a data frame lies.
type IndexEntry struct {
	// Offset is the frame's first one.
	Offset talos.Offset
	// Pos is the frame's position in the segment.
	Pos int64
	// Time is the frame's append time in milliseconds.
	Time int64
}

// Index is a sparse index of a segment's data frames, ascending: by offset, by
// position, and by time, which may repeat.
type Index []IndexEntry

// Find returns the position of the last entry at or below the offset; 0, where
// every segment can be read from, if there is none.
func (x Index) Find(o talos.Offset) int64 {
	return x.before(sort.Search(len(x), func(i int) bool { return x[i].Offset > o }))
}

// FindTime returns a position at or before the first frame whose append time is
// at least ms, and near it.
func (x Index) FindTime(ms int64) int64 {
	return x.before(sort.Search(len(x), func(i int) bool { return x[i].Time >= ms }))
}

func (x Index) before(i int) int64 {
	if i == 0 {
		return 0
	}
	return x[i-1].Pos
}

// add appends an entry for a data frame if the last one is far enough away.
func (x Index) add(e IndexEntry) Index {
	if n := len(x); n == maxIndexEntries || n > 0 && e.Pos-x[n-1].Pos < IndexInterval<<(n/indexTier) {
		return x
	}
	return append(x, e)
}

func appendIndex(b []byte, x Index) []byte {
	for _, e := range x {
		b = binary.BigEndian.AppendUint64(b, uint64(e.Offset))
		b = binary.BigEndian.AppendUint64(b, uint64(e.Pos))
		b = binary.BigEndian.AppendUint64(b, uint64(e.Time))
	}
	return b
}

func parseIndex(b []byte) (Index, error) {
	if len(b)%indexEntryBytes != 0 {
		return nil, fmt.Errorf("the section of the index has %d bytes, no multiple of %d", len(b), indexEntryBytes)
	}
	x := make(Index, 0, len(b)/indexEntryBytes)
	for c := (cursor{b: b}); len(c.b) > 0; {
		x = append(x, IndexEntry{Offset: talos.Offset(c.i64()), Pos: c.i64(), Time: c.i64()})
	}
	return x, nil
}

// check returns an error unless the index ascends, and lies at from..to and below
// the offset next. Times are not checked: wrong ones only make a search by time
// inexact, which is no reason to refuse records.
func (x Index) check(from, to int64, next talos.Offset) error {
	for i, e := range x {
		if e.Pos < from || e.Pos >= to || e.Offset < 0 || e.Offset >= next {
			return fmt.Errorf("index entry %d (offset %d at byte %d) is out of range", i, e.Offset, e.Pos)
		}
		if i > 0 && (e.Pos <= x[i-1].Pos || e.Offset <= x[i-1].Offset) {
			return fmt.Errorf("index entry %d (offset %d at byte %d) does not follow the one before", i, e.Offset, e.Pos)
		}
	}
	return nil
}
