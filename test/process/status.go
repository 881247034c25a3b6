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
	var kilobytes int64
	_, err := fmt.Sscanf(n.status("VmHWM:"), "%d kB", &kilobytes)
	require.NoError(n.t, err)
	return kilobytes << 10
}

// status returns a line of what Linux says of the running process.
func (n *Node) status(name string) string {
	n.t.Helper()
	path := fmt.Sprintf("/proc/%d/status", n.process().PID())
	text, err := os.ReadFile(path)
	require.NoError(n.t, err)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(value)
		}
	}
	require.Failf(n.t, "no such line", "%s in %s", name, path)
	return ""
}
