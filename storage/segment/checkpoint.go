package segment

import (
	"encoding/binary"
	"fmt"

	"github.com/talos-log/talos/talos"
)

// Checkpoint is the payload of a checkpoint frame.
type Checkpoint struct {
	// Producers is the state as of the frame's offset.
	Producers []Producer
	// Index covers the frames since the previous checkpoint.
	Index Index
	// Previous is the position of the checkpoint frame before; 0 means none.
	Previous int64
}

// Footer is the payload of a footer frame.
type Footer struct {
	Index     Index
	Producers []Producer
	Summary   Summary
}

// Summary says in the footer what the segment holds.
type Summary struct {
	Next talos.Offset
	// FirstTime and LastTime are append times of data frames in milliseconds; 0
	// if there are none.
	FirstTime, LastTime int64
	// Frames counts data frames, Bytes their payloads.
	Frames, Bytes int64
}

func (s Summary) fields() [5]int64 {
	return [...]int64{int64(s.Next), s.FirstTime, s.LastTime, s.Frames, s.Bytes}
}

func appendCheckpoint(b []byte, p Checkpoint) []byte {
	b = appendSection(b, sectionProducers, func(b []byte) []byte { return appendProducers(b, p.Producers) })
	b = appendSection(b, sectionIndex, func(b []byte) []byte { return appendIndex(b, p.Index) })
	return appendSection(b, sectionPrevious, func(b []byte) []byte {
		return binary.BigEndian.AppendUint64(b, uint64(p.Previous))
	})
}

// ParseCheckpoint reads the payload of a checkpoint frame.
func ParseCheckpoint(payload []byte) (Checkpoint, error) {
	s, err := parseSections(payload, sectionProducers, sectionIndex, sectionPrevious)
	if err != nil {
		return Checkpoint{}, err
	}
	producers, err := parseProducers(s[sectionProducers])
	if err != nil {
		return Checkpoint{}, err
	}
	index, err := parseIndex(s[sectionIndex])
	if err != nil {
		return Checkpoint{}, err
	}
	c := cursor{b: s[sectionPrevious]}
	p := Checkpoint{Producers: producers, Index: index, Previous: c.i64()}
	return p, c.whole("previous checkpoint")
}

// checkpointIn reads a checkpoint frame of a segment whose header frame ends at
// headSize, and checks it against the frame.
func checkpointIn(f Frame, headSize int64) (Checkpoint, error) {
	p, err := ParseCheckpoint(f.Payload)
	if err == nil {
		err = p.Index.check(headSize, f.Pos, f.Next)
	}
	if err != nil {
		return p, unreadableAt(f.Pos, "the checkpoint", err)
	}
	return p, nil
}

func appendFooter(b []byte, f Footer) []byte {
	b = appendSection(b, sectionIndex, func(b []byte) []byte { return appendIndex(b, f.Index) })
	b = appendSection(b, sectionProducers, func(b []byte) []byte { return appendProducers(b, f.Producers) })
	return appendSection(b, sectionSummary, func(b []byte) []byte {
		for _, v := range f.Summary.fields() {
			b = binary.BigEndian.AppendUint64(b, uint64(v))
		}
		return b
	})
}

// ParseFooter reads the payload of a footer frame.
func ParseFooter(payload []byte) (Footer, error) {
	s, err := parseSections(payload, sectionIndex, sectionProducers, sectionSummary)
	if err != nil {
		return Footer{}, err
	}
	index, err := parseIndex(s[sectionIndex])
	if err != nil {
		return Footer{}, err
	}
	producers, err := parseProducers(s[sectionProducers])
	if err != nil {
		return Footer{}, err
	}
	c := cursor{b: s[sectionSummary]}
	f := Footer{Index: index, Producers: producers, Summary: Summary{
		Next: talos.Offset(c.i64()), FirstTime: c.i64(), LastTime: c.i64(), Frames: c.i64(), Bytes: c.i64(),
	}}
	return f, c.whole("summary")
}

// footerIn is what checkpointIn is, for a footer frame.
func footerIn(f Frame, headSize int64) (Footer, error) {
	p, err := ParseFooter(f.Payload)
	if err == nil {
		err = p.Index.check(headSize, f.Pos, f.Next)
	}
	if err == nil && p.Summary.Next != f.Next {
		err = fmt.Errorf("its summary ends at offset %d, the frame at %d", p.Summary.Next, f.Next)
	}
	if err != nil {
		return p, unreadableAt(f.Pos, "the footer", err)
	}
	return p, nil
}
