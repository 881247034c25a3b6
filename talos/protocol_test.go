package talos_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
)

// The rule of docs/compatibility.md, as far as numbers go: a release speaks its
// own number and the one before, so neighbours meet and others don't.
func TestNeighboursMeet(t *testing.T) {
	release := func(n int32) talos.Protocols { return talos.Protocols{Oldest: max(1, n-1), Newest: n} }
	for client := int32(1); client <= 5; client++ {
		for node := int32(1); node <= 5; node++ {
			err := talos.CheckProtocols(release(client), release(node), "n1")
			if max(client-node, node-client) <= 1 {
				require.NoError(t, err, "client %d, node %d", client, node)
				continue
			}
			require.ErrorIs(t, err, talos.Incompatible)
		}
	}
}

func TestIncompatibleSaysWhatToUpdate(t *testing.T) {
	err := talos.CheckProtocols(talos.Protocols{Oldest: 1, Newest: 1}, talos.Protocols{Oldest: 2, Newest: 3}, "n1 (v9)")
	require.EqualError(t, err, "talos.CheckProtocols: client and node speak no protocol in common: "+
		"the client speaks protocol 1, the node n1 (v9) speaks protocols 2 to 3: update the client")
	err = talos.CheckProtocols(talos.Protocols{Oldest: 4, Newest: 5}, talos.Protocols{Oldest: 2, Newest: 3}, "n1")
	require.ErrorContains(t, err, "update the node")
}

func TestProtocolsAsText(t *testing.T) {
	p := talos.Protocols{Oldest: 3, Newest: 12}
	got, err := talos.ParseProtocols(p.String())
	require.NoError(t, err)
	require.Equal(t, p, got)
	for _, bad := range []string{"", "1", "1-", "-1", "0-1", "2-1", "01-2", "1-2-3", "1-99999999999", "a-b"} {
		_, err := talos.ParseProtocols(bad)
		require.Error(t, err, bad)
	}
}

func TestOwnProtocolsHoldTheRule(t *testing.T) {
	own := talos.OwnProtocols
	require.True(t, own.Valid())
	require.LessOrEqual(t, own.Oldest, max(1, own.Newest-1), "the number before is spoken, too")
}
