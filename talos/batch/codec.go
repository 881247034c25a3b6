package batch

import "fmt"

// Codec is how a batch's records are compressed; the values are Kafka's.
type Codec int8

// The codecs.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// Known tells whether this version knows the codec.
func (c Codec) Known() bool { return c >= None && int(c) < len(codecNames) }

// String returns the codec's name as users write it.
func (c Codec) String() string {
	if !c.Known() {
		return fmt.Sprintf("codec %d", int8(c))
	}
	return codecNames[c]
}

// ParseCodec is the inverse of String.
func ParseCodec(s string) (Codec, error) {
	for i, name := range codecNames {
		if s == name {
			return Codec(i), nil
		}
	}
	return None, fmt.Errorf("compression %q: want one of %v", s, codecNames)
}
