package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHealthTellsWhyANodeDoesNotServe(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, err := w.Write([]byte("not ready: no etcd\nno store\n"))
		require.NoError(t, err)
	}))
	defer node.Close()
	f := healthFlags{address: strings.TrimPrefix(node.URL, "http://"), timeout: defaultTimeout}
	err := f.run(t.Context(), nil)
	require.EqualError(t, err, "not ready: no etcd; no store")
	require.Equal(t, exitUnavailable, exitCode(err))
}

func TestHealthAsksANodeThatListensEverywhereOnLoopback(t *testing.T) {
	t.Setenv(httpEnv, "")
	for given, want := range map[string]string{
		"": "127.0.0.1:7071", ":1": "127.0.0.1:1", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "127.0.0.1:1", "node-1:1": "node-1:1",
	} {
		address, err := healthAddress(given)
		require.NoError(t, err)
		require.Equal(t, want, address)
	}
}
