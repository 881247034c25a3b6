package server

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
)

// A client that meets a node with too much to do is not taken for one that guesses
// tokens: the calls that it has under way would end with its connection.
func TestOverloadIsNoRefusalOfAClient(t *testing.T) {
	var c connection
	for range maxOverloads - 1 {
		require.False(t, c.refused(overloaded("too much")))
	}
	for range maxRefusals - 1 {
		require.False(t, c.refused(talos.Unauthenticated))
	}
	require.True(t, c.refused(talos.Unauthenticated))
	require.True(t, c.refused(overloaded("too much")), "what was refused costs memory, so that has a limit, too")
}
