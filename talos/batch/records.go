package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Record is a record at its place in the partition.
type Record struct {
	Offset talos.Offset
	talos.Record
}

// What a record and a header count against a reader's limit beyond their bytes,
// so that very many empty ones can't fill its memory either. A batch that was
// not compressed counts at most 16 times its size.
const (
	recordCost = 64
	headerCost = 16
)

// Records takes the batch b apart, as Parse delimits it. Before the first record
// it verifies the checksum and decompresses; limit bounds what comes out, in
// bytes, with 64 for each record and 16 for each header on top.
//
// It ends with an error of kind UndecodableBatch, whose Subject names the
// batch's base offset, if anything in b is not as it should be; the records
// before it are good. Records refer to b or to the decompressed copy, and stay
// valid as long as b is not changed.
func Records(b []byte, limit int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		h, err := Parse(b)
		if err != nil {
			yield(Record{}, err)
			return
		}
		if err := h.walk(b[:h.Size], limit, func(r Record) bool { return yield(r, nil) }); err != nil {
			yield(Record{}, &talos.Error{
				Kind: talos.UndecodableBatch, Op: "batch.Records",
				Subject: fmt.Sprintf("offset %d", h.Base), Cause: err,
			})
		}
	}
}

// walk gives the records to each until that returns false; then it returns nil.
func (h Header) walk(b []byte, limit int, each func(Record) bool) error {
	if !ChecksumOK(b) {
		return errors.New("the checksum does not match")
	}
	if err := checkProduced(h); err != nil {
		return err
	}
	rest := b[HeaderSize:]
	if h.Codec() != None {
		var err error
		if rest, err = inflaters.inflate(h.Codec(), rest, limit); err != nil {
			return err
		}
	}
	budget := int64(limit)
	for i := range h.Records {
		k, size, err := decodeRecord(rest, &budget)
		switch {
		case err != nil:
			return fmt.Errorf("record %d of %d: %w", i+1, h.Records, err)
		case k.OffsetDelta != i:
			return fmt.Errorf("record %d of %d has the offset delta %d", i+1, h.Records, k.OffsetDelta)
		}
		rest = rest[size:]
		if !each(h.place(k)) {
			return nil
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes follow the last record", len(rest))
	}
	return nil
}

// place makes a record's own offset and time out of its distance to the batch's.
func (h Header) place(k kmsg.Record) Record {
	r := Record{
		Offset: h.Base + talos.Offset(k.OffsetDelta),
		Record: talos.Record{
			Key: k.Key, Value: k.Value, Timestamp: time.UnixMilli(h.BaseTimestamp + k.TimestampDelta64).UTC(),
		},
	}
	if len(k.Headers) > 0 {
		r.Headers = make([]talos.Header, len(k.Headers))
		for i, header := range k.Headers {
			r.Headers[i] = talos.Header{Key: header.Key, Value: header.Value}
		}
	}
	return r
}

// decodeRecord reads the record at the start of b, and takes what it costs out of
// the budget before there is memory for it.
func decodeRecord(b []byte, budget *int64) (k kmsg.Record, size int, err error) {
	body, n := binary.Varint(b)
	if n <= 0 || body < 0 || body > int64(len(b)-n) {
		return k, 0, errRecord
	}
	size = n + int(body)
	headers, ok := headersOf(b[n:size])
	if !ok {
		return k, 0, errRecord
	}
	if *budget -= int64(size) + recordCost + headers*headerCost; *budget < 0 {
		return k, 0, errors.New("the batch holds more than a reader takes")
	}
	if err := k.ReadFrom(b[:size]); err != nil {
		return k, 0, fmt.Errorf("decode: %w", err)
	}
	return k, size, nil
}

var errRecord = errors.New("it is malformed")

// headersOf counts the headers of an encoded record, and tells whether its parts
// fill b exactly. The decoder would allocate as many as are declared.
func headersOf(b []byte) (count int64, ok bool) {
	s := skimmer{rest: b}
	s.skip(1) // attributes
	s.varint()
	s.varint()
	s.bytes()
	s.bytes()
	count = s.varint()
	if count < 0 || count > int64(len(s.rest)) {
		return 0, false
	}
	for range count {
		if s.bytes() < 0 || s.bad {
			return 0, false // a header's key can't be nil
		}
		s.bytes()
	}
	return count, !s.bad && len(s.rest) == 0
}

// skimmer walks over encoded bytes.
type skimmer struct {
	rest []byte
	bad  bool
}

func (s *skimmer) skip(n int64) {
	if n > int64(len(s.rest)) {
		s.bad, s.rest = true, nil
		return
	}
	s.rest = s.rest[n:]
}

func (s *skimmer) varint() int64 {
	v, n := binary.Varint(s.rest)
	if n <= 0 {
		s.bad, s.rest = true, nil
		return 0
	}
	s.rest = s.rest[n:]
	return v
}

// bytes skips over bytes and returns their length; negative for nil.
func (s *skimmer) bytes() int64 {
	n := s.varint()
	s.skip(max(n, 0))
	return n
}
