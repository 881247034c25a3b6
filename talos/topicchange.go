package talos

import "fmt"

// TopicChange is what changes of a topic: each field that is not nil.
type TopicChange struct {
	// Partitions can't become fewer: records would be lost.
	Partitions                      *int32
	SegmentBytes, SegmentMillis     *int64
	RetentionMillis, RetentionBytes *int64
	Durability                      *Durability
}

// Apply returns the topic as it is after the change, or an error of kind
// InvalidConfig. Applied again, it changes nothing.
func (c TopicChange) Apply(t Topic) (Topic, error) {
	if c.Partitions != nil {
		if n := *c.Partitions; n < t.Partitions || n > MaxPartitions {
			return Topic{}, &Error{
				Kind: InvalidConfig, Op: "talos.TopicChange", Subject: string(t.Name),
				Detail: fmt.Sprintf("partitions is %d, want %d, which there are and can't become fewer, to %d", n, t.Partitions, MaxPartitions),
			}
		}
		t.Partitions = *c.Partitions
	}
	set(&t.Config.SegmentBytes, c.SegmentBytes)
	set(&t.Config.SegmentMillis, c.SegmentMillis)
	set(&t.Config.RetentionMillis, c.RetentionMillis)
	set(&t.Config.RetentionBytes, c.RetentionBytes)
	set(&t.Config.Durability, c.Durability)
	return t, t.Config.Validate()
}

func set[T any](field, to *T) {
	if to != nil {
		*field = *to
	}
}
