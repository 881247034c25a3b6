package cli

import (
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"
	"github.com/talos-log/talos/storage/inspect"
)

// maxBarTopic is the most of a topic's name that a bar shows, in bytes: the line
// should fit a terminal of 80 columns.
const maxBarTopic = 20

// verifyProgress is a bar of the bytes that were verified, of those that all
// segments had when they were listed. A segment counts with that size, also if it
// grew since, so that the bar ends exactly at its end.
type verifyProgress struct {
	bar *progressbar.ProgressBar // nil if there is none
	// before is the size of the segments before this one, size its own.
	before, size int64
}

// newVerifyProgress makes a bar on w, or none: if w is no terminal, if the output
// is for programs, or if there is nothing to read.
func newVerifyProgress(w io.Writer, f format, entries []inspect.Entry) *verifyProgress {
	file := terminal(w)
	if f != formatText || file == nil {
		return &verifyProgress{}
	}
	return drawVerifyProgress(file, entries)
}

func drawVerifyProgress(w io.Writer, entries []inspect.Entry) *verifyProgress {
	total := int64(0)
	for _, e := range entries {
		total += e.Size
	}
	if total == 0 {
		return &verifyProgress{}
	}
	return &verifyProgress{bar: newBar(w, total, inBytes()...)}
}

// begin shows which segment comes next; the one before counts as a whole.
func (p *verifyProgress) begin(e inspect.Entry, topic string) {
	p.before += p.size
	p.size = e.Size
	if p.bar == nil {
		return
	}
	p.bar.Describe(fmt.Sprintf("%s/%d segment %d", barTopic(topic), e.Partition.Number, e.Name.Number))
	p.verified(0)
}

// barTopic cuts a topic's name for a bar.
func barTopic(topic string) string {
	if len(topic) > maxBarTopic {
		return topic[:maxBarTopic-2] + ".."
	}
	return topic
}

// verified shows how many bytes of the segment are done.
func (p *verifyProgress) verified(done int64) {
	if p.bar != nil {
		// A bar that can't be drawn is not worth failing for.
		_ = p.bar.Set64(p.before + min(done, p.size))
	}
}

// clear takes the bar away, so that a line can be printed; it is drawn again when
// more was verified.
func (p *verifyProgress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear() // as above
	}
}
