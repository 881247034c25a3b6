package sdk

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
)

// One connection for each address, however many users it has; beyond the limit the
// one that was idle for longest goes, and never one in use.
func TestConnectionsAreBounded(t *testing.T) {
	cfg, err := newClientConfig(nil)
	require.NoError(t, err)
	s := newPeers(cfg)
	defer func() { require.NoError(t, s.close()) }()
	address := func(i int) string { return fmt.Sprintf("node-%d:7070", i) }
	take := func(i int) *peer {
		p, err := s.take(address(i))
		require.NoError(t, err)
		return p
	}
	first := take(0)
	require.Same(t, first, take(0))
	for i := 1; i < maxPeers; i++ {
		s.release(take(i))
	}
	s.release(take(1)) // used again: 2 is the oldest now
	s.release(take(maxPeers))
	require.Len(t, s.byAddress, maxPeers)
	require.Contains(t, s.byAddress, address(0))
	require.Contains(t, s.byAddress, address(1))
	require.NotContains(t, s.byAddress, address(2))

	for i := 1; i < maxPeers; i++ {
		take(1000 + i)
	}
	_, err = s.take("one-more:7070")
	require.ErrorIs(t, err, talos.Unavailable)
	require.ErrorContains(t, err, "256 connections are in use")
	s.release(first)
	s.release(first)
	_, err = s.take("one-more:7070")
	require.NoError(t, err)
}

func TestNothingIsDialedAfterClose(t *testing.T) {
	cfg, err := newClientConfig(nil)
	require.NoError(t, err)
	s := newPeers(cfg)
	require.NoError(t, s.close())
	_, err = s.take("node:7070")
	require.ErrorIs(t, err, talos.Closed)
}

// Addresses that nodes tell of are bounded, too, and the newest are kept; what is
// no address does no harm.
func TestAddressesAreBounded(t *testing.T) {
	b := newAddressBook([]string{"seed:1"})
	for i := range 1000 {
		advertised := fmt.Sprintf("node-%d:1", i)
		require.Equal(t, advertised, b.of(fmt.Sprint(i), advertised))
		b.met(fmt.Sprint(i), advertised)
	}
	all := b.candidates()
	require.Len(t, all, 1+maxLearned)
	require.Equal(t, []string{"seed:1", "node-999:1"}, all[:2])
	require.LessOrEqual(t, len(b.answering), maxPeers)

	b.met("n", "here:1")
	require.Equal(t, "here:1", b.of("n", "there:1"), "where it answered")
	b.failed("here:1")
	require.Equal(t, "there:1", b.of("n", "there:1"))
	require.Empty(t, b.of("m", ""))
}
