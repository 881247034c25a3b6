package endurance_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/process"
)

// longEnv asks for the long versions.
const longEnv = "TALOS_ENDURANCE"

func long() bool { return os.Getenv(longEnv) == "long" }

var released process.Builder

func TestMain(m *testing.M) {
	code := hadoop.Main(m)
	if err := released.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// metrics reads the node's /metrics: the sum of each name's series.
func metrics(t *testing.T, n *process.Node) map[string]float64 {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.Pages()+"/metrics", http.NoBody)
	require.NoError(t, err)
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	all := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		number, err := strconv.ParseFloat(value, 64)
		if name, _, _ = strings.Cut(name, "{"); ok && err == nil {
			all[name] += number
		}
	}
	return all
}

// within is a context that ends with the test, for goroutines that it waits for.
func within(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithoutCancel(t.Context()))
}
