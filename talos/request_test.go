package talos_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
)

func TestRequestIDsAreSafeToLog(t *testing.T) {
	for id, valid := range map[string]bool{
		"a": true, "0f3a-17": true, "Az09._-": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "a\nb": false, "ä": false, `"`: false,
	} {
		require.Equal(t, valid, talos.ValidRequestID(id), "%q", id)
	}
}

func TestOnlyFaultsOfTalosNameTheirRequest(t *testing.T) {
	fault := &talos.Error{Kind: talos.Internal, Request: "r-1"}
	require.Contains(t, fault.Error(), "the node's log has it as request r-1")
	usual := &talos.Error{Kind: talos.UnknownTopic, Request: "r-1"}
	require.NotContains(t, usual.Error(), "r-1")
}
