package segment

import (
	"encoding/binary"
	"fmt"
)

// The payloads of header, checkpoint and footer frames are sections: type (2
// bytes), length (4), content. Their content is fixed for ever: what changes
// gets a new type.
const (
	// mustUnderstand is the bit of a section's type by which a reader that does not
	// know the type must refuse the segment instead of skipping the section.
	mustUnderstand uint16 = 0x8000

	sectionIdentity  = mustUnderstand | 1
	sectionProducers = mustUnderstand | 2
	sectionIndex     = uint16(3)
	sectionPrevious  = uint16(4)
	sectionSummary   = uint16(5)
	sectionFiller    = uint16(6)
)

const sectionHeaderBytes = 6

// appendSection appends a section whose content fill appends.
func appendSection(b []byte, sectionType uint16, fill func([]byte) []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, sectionType)
	b = append(b, 0, 0, 0, 0)
	start := len(b)
	b = fill(b)
	binary.BigEndian.PutUint32(b[start-4:], uint32(len(b)-start))
	return b
}

// parseSections returns the content of each wanted section; all of them must be
// there, once.
func parseSections(b []byte, wanted ...uint16) (map[uint16][]byte, error) {
	found := make(map[uint16][]byte, len(wanted))
	for _, t := range wanted {
		found[t] = nil
	}
	for len(b) > 0 {
		if len(b) < sectionHeaderBytes {
			return nil, fmt.Errorf("%d bytes are too few for a section", len(b))
		}
		sectionType, length := binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[2:])
		b = b[sectionHeaderBytes:]
		if uint64(length) > uint64(len(b)) {
			return nil, fmt.Errorf("section %#04x declares %d bytes, there are %d", sectionType, length, len(b))
		}
		content := b[:length:length]
		b = b[length:]
		earlier, known := found[sectionType]
		switch {
		case !known && sectionType&mustUnderstand != 0:
			return nil, fmt.Errorf("section %#04x must be understood and is not known: %w", sectionType, errNewer)
		case earlier != nil:
			return nil, fmt.Errorf("section %#04x is there twice", sectionType)
		case known:
			found[sectionType] = content
		}
	}
	for _, t := range wanted {
		if found[t] == nil {
			return nil, fmt.Errorf("section %#04x is missing", t)
		}
	}
	return found, nil
}

// cursor takes a section's content apart. Once it has run short, short is set
// and it yields zeros.
type cursor struct {
	b     []byte
	short bool
}

func (c *cursor) take(n int) []byte {
	if c.short || n > len(c.b) {
		c.short = true
		return make([]byte, min(n, 8))
	}
	taken := c.b[:n]
	c.b = c.b[n:]
	return taken
}

func (c *cursor) u8() uint8   { return c.take(1)[0] }
func (c *cursor) u16() uint16 { return binary.BigEndian.Uint16(c.take(2)) }
func (c *cursor) i32() int32  { return int32(binary.BigEndian.Uint32(c.take(4))) }
func (c *cursor) i64() int64  { return int64(binary.BigEndian.Uint64(c.take(8))) }

func (c *cursor) text() string {
	n := int(c.u16())
	if n > len(c.b) {
		c.short = true
		return ""
	}
	return string(c.take(n))
}

// whole is nil if the content was used up exactly.
func (c *cursor) whole(what string) error {
	switch {
	case c.short:
		return fmt.Errorf("the section of the %s is too short", what)
	case len(c.b) > 0:
		return fmt.Errorf("the section of the %s has %d bytes too many", what, len(c.b))
	default:
		return nil
	}
}
