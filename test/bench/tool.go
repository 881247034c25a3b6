package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/talos-log/talos/test/process"
)

// synchronous is a runner: `talos bench` with one synchronous producer, which has
// the machine's own fdatasync and gRPC round trip beside it.
type synchronous struct {
	node *talosNode
	// folder is on the node's disk.
	folder string
}

// benchReport is what is used of the tool's output.
type benchReport struct {
	Ratios []struct {
		To      string  `json:"to"`
		Measure string  `json:"measure"`
		Ratio   float64 `json:"ratio"`
	} `json:"ratios"`
}

func (s synchronous) leg(ctx context.Context, l limit) (o outcome, err error) {
	root, err := process.Root()
	if err != nil {
		return o, err
	}
	cmd := exec.CommandContext(
		ctx, filepath.Join(root, "bin", "talos"), "bench", "produce", "--server", s.node.address, "--producers", "1",
		"--in-flight", "1", "--partitions", "1", "--rounds", "1", "--duration", l.duration.String(), "--warmup", "500ms",
		"--yardstick-dir", s.folder, "-o", "json",
	)
	out, err := cmd.Output()
	if err != nil {
		return o, fmt.Errorf("talos bench: %w", err)
	}
	var report benchReport
	if err := json.Unmarshal(out, &report); err != nil {
		return o, fmt.Errorf("talos bench: %w", err)
	}
	o.own = map[string]float64{}
	for _, r := range report.Ratios {
		if r.To == "fdatasync+grpc" {
			o.own[r.Measure] = r.Ratio
		}
	}
	return o, nil
}

func (s synchronous) close(context.Context) error { return nil }
