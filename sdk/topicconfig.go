package sdk

import (
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

// toTopicConfig expects a valid one.
func toTopicConfig(c talos.TopicConfig) *talosv1.TopicConfig {
	out := &talosv1.TopicConfig{
		SegmentBytes: c.SegmentBytes, SegmentMs: c.SegmentMillis,
		RetentionMs: c.RetentionMillis, RetentionBytes: c.RetentionBytes,
	}
	switch c.Durability {
	case talos.Sync:
		out.Durability = talosv1.Durability_DURABILITY_SYNC
	case talos.Flush:
		out.Durability = talosv1.Durability_DURABILITY_FLUSH
	}
	return out
}

// fromTopicConfig leaves empty what only a newer node knows.
func fromTopicConfig(c *talosv1.TopicConfig) talos.TopicConfig {
	in := talos.TopicConfig{
		SegmentBytes: c.GetSegmentBytes(), SegmentMillis: c.GetSegmentMs(),
		RetentionMillis: c.GetRetentionMs(), RetentionBytes: c.GetRetentionBytes(),
	}
	switch c.GetDurability() {
	case talosv1.Durability_DURABILITY_SYNC:
		in.Durability = talos.Sync
	case talosv1.Durability_DURABILITY_FLUSH:
		in.Durability = talos.Flush
	}
	return in
}
