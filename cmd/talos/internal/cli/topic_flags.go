package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/talos"
)

// forEver is what --retention and --retention-bytes take instead of a limit.
const forEver = "forever"

// topicFlags are the flags for a topic's configuration.
type topicFlags struct {
	segmentBytes              int64
	segmentAge                time.Duration
	durability                string
	retention, retentionBytes string
}

func (f *topicFlags) add(cmd *cobra.Command) {
	cmd.Flags().Int64Var(&f.segmentBytes, "segment-bytes", 0, "roll a segment at `BYTES` (default 256 MiB)")
	cmd.Flags().DurationVar(&f.segmentAge, "segment-age", 0, "roll a segment at this `AGE`, as in 90m (default 24h)")
	cmd.Flags().StringVar(&f.durability, "durability", "", "acknowledge when `sync`ed to disk (default), or on HDFS already when flushed to\nall replicas' memory: flush")
	cmd.Flags().StringVar(&f.retention, "retention", "", "let records go at this `AGE`, as in 168h, counted from when they were appended\n(default "+forEver+": keep them)")
	cmd.Flags().StringVar(&f.retentionBytes, "retention-bytes", "", "keep at least the newest `BYTES` of each partition, and about one segment more\n(default "+forEver+": keep all)")
}

// apply puts what the command line says into c.
func (f *topicFlags) apply(cmd *cobra.Command, c talos.TopicConfig) (talos.TopicConfig, error) {
	given := cmd.Flags().Changed
	if given("segment-bytes") {
		c.SegmentBytes = f.segmentBytes
	}
	if given("segment-age") {
		c.SegmentMillis = f.segmentAge.Milliseconds()
	}
	if given("durability") {
		c.Durability = talos.Durability(f.durability)
	}
	if given("retention") {
		c.RetentionMillis = 0
		if f.retention != forEver {
			age, err := time.ParseDuration(f.retention)
			if err != nil || age < time.Millisecond {
				return c, f.fault(cmd, "retention", f.retention, "an age above 0, as in 168h")
			}
			c.RetentionMillis = age.Milliseconds()
		}
	}
	if given("retention-bytes") {
		c.RetentionBytes = 0
		if f.retentionBytes != forEver {
			bytes, err := strconv.ParseInt(f.retentionBytes, 10, 64)
			if err != nil || bytes <= 0 {
				return c, f.fault(cmd, "retention-bytes", f.retentionBytes, "a number of bytes above 0")
			}
			c.RetentionBytes = bytes
		}
	}
	return c, c.Validate()
}

// change returns what the command line names.
func (f *topicFlags) change(cmd *cobra.Command) (talos.TopicChange, error) {
	c, err := f.apply(cmd, talos.TopicConfig{})
	if err != nil {
		return talos.TopicChange{}, err
	}
	var change talos.TopicChange
	given := cmd.Flags().Changed
	if given("segment-bytes") {
		change.SegmentBytes = &c.SegmentBytes
	}
	if given("segment-age") {
		change.SegmentMillis = &c.SegmentMillis
	}
	if given("durability") {
		change.Durability = &c.Durability
	}
	if given("retention") {
		change.RetentionMillis = &c.RetentionMillis
	}
	if given("retention-bytes") {
		change.RetentionBytes = &c.RetentionBytes
	}
	return change, nil
}

func (f *topicFlags) fault(cmd *cobra.Command, flag, value, want string) error {
	return &usageError{text: fmt.Sprintf("--%s %q: want %s, or %s", flag, value, want, forEver), hint: seeHelp(cmd)}
}
