package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// PeakMemory returns the most memory that the running process ever had, in
// bytes: its resident set, as Linux counts it.
func (n *Node) PeakMemory() int64 {
	n.t.Helper()
	held, err := PeakMemory(n.process().PID())
	require.NoError(n.t, err)
	return held
}

// Memory returns the memory that the running process has now, counted likewise.
func (n *Node) Memory() int64 {
	n.t.Helper()
	held, err := ResidentMemory(n.process().PID())
	require.NoError(n.t, err)
	return held
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

func metric(ctx context.Context, pages, name string) (float64, error) {
	value, found, err := SumMetric(ctx, pages, name+" ")
	if err == nil && found == 0 {
		err = fmt.Errorf("the node has no metric %s", name)
	}
	return value, err
}

// SumMetric adds up the series on a node's pages whose line begins with prefix: a name,
// and perhaps some labels. It returns how many there are.
func SumMetric(ctx context.Context, pages, prefix string) (sum float64, found int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+pages+"/metrics", http.NoBody)
	if err != nil {
		return 0, 0, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), prefix) {
			continue
		}
		value, err := strconv.ParseFloat(lines.Text()[strings.LastIndexByte(lines.Text(), ' ')+1:], 64)
		if err != nil {
			return 0, 0, err
		}
		sum, found = sum+value, found+1
	}
	return sum, found, lines.Err()
}
