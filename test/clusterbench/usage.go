package clusterbench

import (
	"errors"
	"time"

	"github.com/talos-log/talos/test/process"
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
		processor, err := process.ProcessorTime(n.Child().PID())
		resident, err2 := process.ResidentMemory(n.Child().PID())
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		all = append(all, usage{processor, resident})
	}
	return all, nil
}
