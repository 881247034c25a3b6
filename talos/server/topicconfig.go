package server

import (
	"fmt"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

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

// fromTopicConfig leaves what it does not know for Validate to refuse.
func fromTopicConfig(c *talosv1.TopicConfig) talos.TopicConfig {
	in := talos.TopicConfig{
		SegmentBytes: c.GetSegmentBytes(), SegmentMillis: c.GetSegmentMs(),
		RetentionMillis: c.GetRetentionMs(), RetentionBytes: c.GetRetentionBytes(),
	}
	in.Durability = fromDurability(c.GetDurability())
	return in
}

func fromDurability(d talosv1.Durability) talos.Durability {
	switch d {
	case talosv1.Durability_DURABILITY_UNSPECIFIED:
		return ""
	case talosv1.Durability_DURABILITY_SYNC:
		return talos.Sync
	case talosv1.Durability_DURABILITY_FLUSH:
		return talos.Flush
	default:
		return talos.Durability(fmt.Sprint(int32(d)))
	}
}

func fromChange(r *talosv1.AlterTopicRequest) talos.TopicChange {
	change := talos.TopicChange{
		Partitions: r.Partitions, SegmentBytes: r.SegmentBytes, SegmentMillis: r.SegmentMs,
		RetentionMillis: r.RetentionMs, RetentionBytes: r.RetentionBytes,
	}
	if r.Durability != nil {
		d := fromDurability(r.GetDurability())
		change.Durability = &d
	}
	return change
}
