package talos

import "time"

// Record is what an application writes and reads.
type Record struct {
	// Key decides the partition where the application does not; nil is "no key"
	// and differs from an empty one.
	Key []byte
	// Value is the payload; nil differs from empty.
	Value []byte
	// Headers are kept in order; a key may repeat.
	Headers []Header
	// Timestamp is the application's; it is kept to the millisecond. Zero means
	// the time at which the producer took the record.
	Timestamp time.Time
}

// Header is one key and value beside a record.
type Header struct {
	Key   string
	Value []byte
}

// headerOverhead is what a header counts beyond its bytes, so that very many
// empty headers can't slip a batch over its limit.
const headerOverhead = 16

// Size is what counts against the record limit, in bytes: key, value, and
// headers with 16 bytes for each.
func (r *Record) Size() int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value) + headerOverhead
	}
	return n
}
