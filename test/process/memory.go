package process

import (
	"fmt"
	"os"
	"strings"

	"github.com/stretchr/testify/require"
)

// PeakMemory returns the most memory that the running process ever had, in
// bytes: its resident set, as Linux counts it.
func (n *Node) PeakMemory() int64 {
	n.t.Helper()
	path := fmt.Sprintf("/proc/%d/status", n.process().cmd.Process.Pid)
	text, err := os.ReadFile(path)
	require.NoError(n.t, err)
	for line := range strings.Lines(string(text)) {
		var kilobytes int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	require.Failf(n.t, "no VmHWM", "in %s", path)
	return 0
}
