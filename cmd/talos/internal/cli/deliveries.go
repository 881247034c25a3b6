package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// deliveries collects what became of the records that were sent.
type deliveries struct {
	// onFailure is called at the first failure; set before anything is sent.
	onFailure func(error)

	mu      sync.Mutex // guards the fields below
	byPart  map[int32]*span
	failed  error
	failedN int64
}

// span is what one partition took.
type span struct {
	records     int64
	first, last talos.Offset
}

func newDeliveries() *deliveries {
	return &deliveries{byPart: map[int32]*span{}, onFailure: func(error) {}}
}

// add is the producer's callback for the record of one line.
func (d *deliveries) add(line int64, at sdk.Delivery, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.failedN++
		if d.failed == nil {
			d.failed = fmt.Errorf("line %d: %w", line, err)
			d.onFailure(d.failed)
		}
		return
	}
	s := d.byPart[at.Partition]
	if s == nil {
		s = &span{first: at.Offset}
		d.byPart[at.Partition] = s
	}
	s.records++
	s.first, s.last = min(s.first, at.Offset), max(s.last, at.Offset)
}

// failure returns the first failure, and says how many there were.
func (d *deliveries) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == nil {
		return nil
	}
	return fmt.Errorf("%s not acknowledged, the first: %w", count(d.failedN, "record"), d.failed)
}

// acknowledged is how many records are durable.
func (d *deliveries) acknowledged() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := int64(0)
	for _, s := range d.byPart {
		n += s.records
	}
	return n
}

// summary says where the records went, a line for each partition.
func (d *deliveries) summary(topic talos.TopicName) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.byPart) == 0 {
		return fmt.Sprintf("0 records to %s", topic)
	}
	var text []string
	for _, partition := range slices.Sorted(maps.Keys(d.byPart)) {
		s := d.byPart[partition]
		text = append(text, fmt.Sprintf("%s to %s/%d, offsets %d to %d", count(s.records, "record"), topic, partition, s.first, s.last))
	}
	return strings.Join(text, "\n")
}
