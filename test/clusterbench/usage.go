package clusterbench

import (
	"errors"
	"time"
)

// usage is what a node has used of the machine.
type usage struct {
	processor time.Duration
	resident  int64
}

// usage is that of each node, in order.
func (l *lab) usage() ([]usage, error) {
	var all []usage
	for _, n := range l.nodes {
		processor, err := n.Child().ProcessorTime()
		resident, err2 := n.Child().ResidentMemory()
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		all = append(all, usage{processor, resident})
	}
	return all, nil
}
