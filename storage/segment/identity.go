package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
)

// maxClusterLength bounds the cluster's id, in bytes.
const maxClusterLength = 255

func (h Header) validate() error {
	switch {
	case len(h.Cluster) > maxClusterLength:
		return fmt.Errorf("the cluster's id has %d bytes, the limit is %d", len(h.Cluster), maxClusterLength)
	case h.Partition < 0:
		return fmt.Errorf("partition %d", h.Partition)
	case h.Name.Number <= 0 || h.Name.Epoch <= 0 || h.Name.Base < 0:
		return fmt.Errorf("segment name %s", h.Name)
	case h.Previous != talos.SegmentName{} && (h.Previous.Number <= 0 || h.Previous.Epoch <= 0 || h.Previous.Base < 0):
		return fmt.Errorf("previous segment's name %s", h.Previous)
	case h.Window <= 0:
		return errors.New("the in-flight window is not above 0")
	default:
		return h.TopicName.Validate()
	}
}

func appendIdentity(b []byte, h Header) []byte {
	b = appendText(b, h.Cluster)
	b = append(b, h.Topic[:]...)
	b = appendText(b, string(h.TopicName))
	b = binary.BigEndian.AppendUint32(b, uint32(h.Partition))
	b = appendName(b, h.Name)
	b = appendName(b, h.Previous)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Created.UnixMilli()))
	return binary.BigEndian.AppendUint64(b, uint64(h.Window))
}

func parseIdentity(b []byte) (Header, error) {
	c := cursor{b: b}
	h := Header{Cluster: c.text()}
	copy(h.Topic[:], c.take(len(h.Topic)))
	h.TopicName = talos.TopicName(c.text())
	h.Partition = c.i32()
	h.Name = parseName(&c)
	h.Previous = parseName(&c)
	h.Created = time.UnixMilli(c.i64()).UTC()
	h.Window = c.i64()
	if err := c.whole("identity"); err != nil {
		return Header{}, err
	}
	return h, h.validate()
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func appendName(b []byte, n talos.SegmentName) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(n.Number))
	b = binary.BigEndian.AppendUint32(b, uint32(n.Epoch))
	return binary.BigEndian.AppendUint64(b, uint64(n.Base))
}

func parseName(c *cursor) talos.SegmentName {
	return talos.SegmentName{
		Number: talos.SegmentNumber(c.i64()), Epoch: talos.Epoch(c.i32()), Base: talos.Offset(c.i64()),
	}
}

// appendFiller makes the frame in b end with a chunk.
func appendFiller(b []byte, chunk int64) []byte {
	end := int64(len(b) + trailerBytes)
	if chunk <= 0 || end%chunk == 0 {
		return b
	}
	gap := chunk - end%chunk
	for gap < sectionHeaderBytes {
		gap += chunk
	}
	return appendSection(b, sectionFiller, func(b []byte) []byte { return append(b, make([]byte, gap-sectionHeaderBytes)...) })
}

// appendHead appends the payload of a header frame.
func appendHead(b []byte, h Header, producers []Producer) []byte {
	b = appendSection(b, sectionIdentity, func(b []byte) []byte { return appendIdentity(b, h) })
	return appendSection(b, sectionProducers, func(b []byte) []byte { return appendProducers(b, producers) })
}

func parseHead(b []byte) (Header, []Producer, error) {
	s, err := parseSections(b, sectionIdentity, sectionProducers)
	if err != nil {
		return Header{}, nil, err
	}
	h, err := parseIdentity(s[sectionIdentity])
	if err != nil {
		return Header{}, nil, err
	}
	producers, err := parseProducers(s[sectionProducers])
	return h, producers, err
}
