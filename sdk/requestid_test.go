package sdk_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk/fake"
	"github.com/talos-log/talos/talos"
)

// Each call has a name of its own, which the node tells with its error.
func TestErrorsNameTheirRequest(t *testing.T) {
	client := fake.StartT(t).Client()
	seen := map[string]bool{}
	for range 3 {
		_, err := client.Describe(t.Context(), "nothing")
		var e *talos.Error
		require.ErrorAs(t, err, &e)
		require.Regexp(t, `^[0-9a-f]{12}-[0-9]+$`, e.Request)
		seen[e.Request] = true
	}
	require.Len(t, seen, 3)
}
