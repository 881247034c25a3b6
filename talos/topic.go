package talos

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// TopicName is what users call a topic: 1 to MaxTopicNameLength characters out
// of letters, digits, '.', '_' and '-', and neither "." nor "..". The alphabet
// is Kafka's, so that every name works behind every front door.
type TopicName string

var topicNamePattern = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

// Validate returns an error of kind InvalidTopicName if the name can't be used.
func (n TopicName) Validate() error {
	fault := ""
	switch {
	case n == "":
		fault = "it is empty"
	case n == "." || n == "..":
		fault = "it is a relative path"
	case len(n) > MaxTopicNameLength:
		fault = fmt.Sprintf("it has %d characters, the limit is %d", len(n), MaxTopicNameLength)
	case !topicNamePattern.MatchString(string(n)):
		fault = "only letters, digits, '.', '_' and '-' are allowed"
	}
	if fault == "" {
		return nil
	}
	return &Error{Kind: InvalidTopicName, Op: "talos.TopicName", Subject: strconv.Quote(string(n)), Detail: fault}
}

// InternalPrefix begins the names of the topics that Talos keeps for itself: clients
// can neither make, change, delete nor write one.
const InternalPrefix = "__talos_"

// Internal tells whether the name is one of Talos's own topics.
func (n TopicName) Internal() bool { return strings.HasPrefix(string(n), InternalPrefix) }

// TopicID identifies one creation of a topic. A topic that is deleted and
// created again has a new id, so nothing written to the old one can reach it.
type TopicID [16]byte

// NewTopicID returns a random id.
func NewTopicID() TopicID { return TopicID(uuid.New()) }

// String returns 32 lower-case hexadecimal digits; the form is part of folder
// names in the store.
func (id TopicID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText makes the id readable in JSON.
func (id TopicID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is the strict inverse of MarshalText.
func (id *TopicID) UnmarshalText(text []byte) error {
	parsed, err := ParseTopicID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// ParseTopicID is the strict inverse of String: lower-case digits only.
func ParseTopicID(s string) (TopicID, error) {
	var id TopicID
	if len(s) != 2*len(id) {
		return id, fmt.Errorf("topic id %q: want %d hexadecimal digits", s, 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, fmt.Errorf("topic id %q: %w", s, err)
	}
	if id.String() != s {
		return id, fmt.Errorf("topic id %q: want lower-case digits", s)
	}
	return id, nil
}

// PartitionID names one partition of one creation of a topic.
type PartitionID struct {
	Topic  TopicID
	Number int32
}

// String returns "<topic id>/<number>", which is also the partition's folder.
func (p PartitionID) String() string {
	return p.Topic.String() + "/" + strconv.FormatInt(int64(p.Number), 10)
}

// Topic is what a topic is: the unit of configuration.
type Topic struct {
	Name       TopicName   `json:"name"`
	ID         TopicID     `json:"id"`
	Partitions int32       `json:"partitions"`
	Config     TopicConfig `json:"config"`
}

// TopicConfig is what a user may set per topic; the zero value is the default.
type TopicConfig struct {
	// SegmentBytes is the size at which a segment is rolled; 0 means
	// DefaultSegmentBytes, otherwise at least MinSegmentBytes.
	SegmentBytes int64 `json:"segment_bytes,omitempty"`
	// SegmentMillis is the age in milliseconds at which a segment is rolled; 0
	// means DefaultSegmentAge, otherwise at least 1000.
	SegmentMillis int64 `json:"segment_ms,omitempty"`
	// Durability is what an acknowledgement means; empty means Sync.
	Durability Durability `json:"durability,omitempty"`
	// RetentionMillis is how long records are kept, in milliseconds from when they
	// were appended; 0 means for ever, otherwise at least 1000.
	RetentionMillis int64 `json:"retention_ms,omitempty"`
	// RetentionBytes is how much of each partition is kept, in bytes of whole
	// segments, the newest ones; 0 means all, otherwise at least MinSegmentBytes.
	RetentionBytes int64 `json:"retention_bytes,omitempty"`
}

// Validate returns an error of kind InvalidConfig that names every fault.
func (c TopicConfig) Validate() error {
	var faults []error
	if c.SegmentBytes != 0 && c.SegmentBytes < MinSegmentBytes {
		faults = append(faults, fmt.Errorf("segment_bytes is %d, the least is %d", c.SegmentBytes, MinSegmentBytes))
	}
	if c.SegmentMillis != 0 && c.SegmentMillis < minSegmentMillis {
		faults = append(faults, fmt.Errorf("segment_ms is %d, the least is %d", c.SegmentMillis, minSegmentMillis))
	}
	if c.RetentionMillis != 0 && (c.RetentionMillis < minRetentionMillis || c.RetentionMillis > maxMillis) {
		faults = append(faults, fmt.Errorf("retention_ms is %d, want 0 or %d to %d", c.RetentionMillis, minRetentionMillis, maxMillis))
	}
	if c.RetentionBytes != 0 && c.RetentionBytes < MinSegmentBytes {
		faults = append(faults, fmt.Errorf("retention_bytes is %d, want 0 or at least %d", c.RetentionBytes, MinSegmentBytes))
	}
	if err := c.Durability.Validate(); err != nil {
		faults = append(faults, err)
	}
	if len(faults) == 0 {
		return nil
	}
	return &Error{Kind: InvalidConfig, Op: "talos.TopicConfig", Cause: errors.Join(faults...)}
}

// Acknowledges returns what an acknowledgement means.
func (c TopicConfig) Acknowledges() Durability {
	if c.Durability == "" {
		return Sync
	}
	return c.Durability
}

// Retention returns how long records are kept; 0 means for ever.
func (c TopicConfig) Retention() time.Duration {
	return time.Duration(c.RetentionMillis) * time.Millisecond
}

// SegmentLimits returns the size and the age at which a segment is rolled. No
// segment is filled for longer than its records are kept.
func (c TopicConfig) SegmentLimits() (bytes int64, age time.Duration) {
	bytes, age = DefaultSegmentBytes, DefaultSegmentAge
	if c.SegmentBytes != 0 {
		bytes = c.SegmentBytes
	}
	if c.SegmentMillis != 0 {
		age = time.Duration(c.SegmentMillis) * time.Millisecond
	}
	if keep := c.Retention(); keep > 0 {
		age = min(age, keep)
	}
	return bytes, age
}
