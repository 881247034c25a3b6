package talos

import (
	"fmt"
	"regexp"
	"strconv"
)

// Offset is a record's position in its partition. The first one is 0; the
// offset after a batch is its base offset + last offset delta + 1, never a
// count of records.
type Offset int64

// Epoch numbers the ownerships of a partition. It is raised at every opening,
// also by the same node, and fits the 32 bits that a record batch has for it.
type Epoch int32

// SegmentNumber is a segment's place in its partition's chain, from 1 on;
// 0 means that there is none yet.
type SegmentNumber int64

// SegmentName is what tells the segments of one partition apart. It is unique
// for ever: a name is never tried twice.
type SegmentName struct {
	Number SegmentNumber
	Epoch  Epoch
	Base   Offset
}

// segmentFormatLetter starts each name, so that a later form (rewritten or
// merged segments) can be told apart.
const segmentFormatLetter = "a"

// String returns the name in fixed width, so that names sort by number, then
// epoch, then base offset.
func (n SegmentName) String() string {
	return fmt.Sprintf("%s%012d-%010d-%019d", segmentFormatLetter, n.Number, n.Epoch, n.Base)
}

var segmentNamePattern = regexp.MustCompile(`^` + segmentFormatLetter + `(\d{12})-(\d{10})-(\d{19})$`)

// ParseSegmentName is the strict inverse of String.
func ParseSegmentName(s string) (SegmentName, error) {
	m := segmentNamePattern.FindStringSubmatch(s)
	if m == nil {
		return SegmentName{}, fmt.Errorf("%q is not a segment's name", s)
	}
	number, err1 := strconv.ParseInt(m[1], 10, 64)
	epoch, err2 := strconv.ParseInt(m[2], 10, 32)
	base, err3 := strconv.ParseInt(m[3], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil || number == 0 || epoch == 0 {
		return SegmentName{}, fmt.Errorf("%q is not a segment's name: a number is out of range", s)
	}
	return SegmentName{Number: SegmentNumber(number), Epoch: Epoch(epoch), Base: Offset(base)}, nil
}
