package sdk_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/sdk/fake"
	"github.com/talos-log/talos/talos"
)

// release is what a release of number n speaks, by the rule of
// docs/compatibility.md.
func release(n int32) talos.Protocols { return talos.Protocols{Oldest: n - 1, Newest: n} }

// The real client under the real node, each pretending to be older or newer:
// neighbours work together both ways, and whoever is too far away is told so
// before anything happened.
func TestReleasesNextToEachOtherWorkTogether(t *testing.T) {
	const n = 5
	for _, c := range []struct {
		name         string
		client, node talos.Protocols
		says         string // empty if they work together
	}{
		{"the same", release(n), release(n), ""},
		{"the node is one ahead", release(n), release(n + 1), ""},
		{"the node is one behind", release(n), release(n - 1), ""},
		{"the client is one ahead", release(n + 1), release(n), ""},
		{"the client is one behind", release(n - 1), release(n), ""},
		{"the node is two ahead", release(n), release(n + 2), "the client speaks protocols 4 to 5, the node fake-0 (fake) speaks protocols 6 to 7: update the client"},
		{"the node is two behind", release(n), release(n - 2), "the node fake-0 (fake) speaks protocols 2 to 3: update the node"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cluster := fake.StartT(t, fake.Protocols(c.node))
			client, err := cluster.Dial(sdk.WithProtocols(c.client))
			require.NoError(t, err)
			_, err = client.CreateTopic(t.Context(), "logs", 1, talos.TopicConfig{})
			if c.says != "" {
				require.ErrorIs(t, err, talos.Incompatible)
				require.ErrorContains(t, err, c.says)
				require.ErrorContains(t, err, "sdk.CreateTopic logs")
				for _, call := range []func() error{
					func() error { _, err := client.ServerVersion(t.Context()); return err },
					func() error { _, err := client.NewProducer(t.Context(), "logs"); return err },
					func() error { _, err := client.NewConsumer(t.Context(), "logs"); return err },
				} {
					require.ErrorIs(t, call(), talos.Incompatible)
				}
				return
			}
			require.NoError(t, err)
			version, err := client.ServerVersion(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.node, version.Protocols)
			producer, err := client.NewProducer(t.Context(), "logs")
			require.NoError(t, err)
			_, err = producer.SendSync(t.Context(), 0, value("x"))
			require.NoError(t, err)
			require.NoError(t, producer.Close(t.Context()))
			reader, err := client.NewConsumer(t.Context(), "logs")
			require.NoError(t, err)
			require.Equal(t, []string{"x"}, poll(t, reader))
		})
	}
}

// A node of before there were numbers counts as the first one, and so does what a
// node says if it makes no sense.
func TestNodesOfBefore(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		v, err := client.ServerVersion(t.Context())
		require.NoError(t, err)
		require.Equal(t, talos.FirstProtocol, v.Protocols)
	})
	n = newNode(1)
	n.protocol, n.oldestProtocol = 2, 3
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		_, err := client.ServerVersion(t.Context())
		require.ErrorIs(t, err, talos.Internal)
	})
}

// A node that is replaced by one of another time is noticed, by producers as well.
func TestANodeThatBecomesTooNew(t *testing.T) {
	n := newNode(1)
	producing(t, n, nil, func(t *testing.T, p *sdk.Producer) {
		_, err := p.SendSync(t.Context(), 0, value("x"))
		require.NoError(t, err)
		n.mu.Lock()
		n.protocol, n.oldestProtocol = talos.OwnProtocols.Newest+2, talos.OwnProtocols.Newest+1
		n.cutLocked()
		n.mu.Unlock()
		synctest.Wait()
		_, err = p.SendSync(t.Context(), 0, value("y"))
		require.ErrorIs(t, err, talos.Incompatible)
		require.ErrorContains(t, err, "it was not sent")
	})
	require.Equal(t, []string{"x"}, n.stored(t, 0))
}
