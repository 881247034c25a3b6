package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// PeakMemory returns the most memory that the running process ever had, in
// bytes: its resident set, as Linux counts it.
func (n *Node) PeakMemory() int64 {
	n.t.Helper()
	return n.memory("VmHWM:")
}

// Memory returns the memory that the running process has now, counted likewise.
func (n *Node) Memory() int64 {
	n.t.Helper()
	return n.memory("VmRSS:")
}

func (n *Node) memory(line string) int64 {
	n.t.Helper()
	var kilobytes int64
	_, err := fmt.Sscanf(n.status(line), "%d kB", &kilobytes)
	require.NoError(n.t, err)
	return kilobytes << 10
}

// Metric reads a number from the node's /metrics. It may be called from any
// goroutine.
func (n *Node) Metric(ctx context.Context, name string) (float64, error) {
	return metric(ctx, n.http, name)
}

// Metric reads a number likewise.
func (s *Server) Metric(ctx context.Context, name string) (float64, error) {
	return metric(ctx, s.Pages, name)
}

func metric(ctx context.Context, pages, name string) (value float64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+pages+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(text, 64)
		}
	}
	return 0, fmt.Errorf("the node has no metric %s", name)
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
