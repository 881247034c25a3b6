package node

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/cmd/talos/internal/config"
	"github.com/talos-log/talos/coordinator/etcd"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/certs"
)

// Nodes that let in only who has a token, or a certificate, let each other in: the
// coordinator of a group tells the lag in partitions of the other node.
func TestSecuredNodesTellTheWholeLag(t *testing.T) {
	for name, test := range map[string]struct {
		tokens, clientCA, otherPeerCA bool
		lag, unknown                  string
	}{
		"by token":       {tokens: true, lag: "16"},
		"by certificate": {clientCA: true, lag: "16"},
		"not those of an authority that is unknown": {tokens: true, otherPeerCA: true, unknown: "some"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			authority := certs.NewAuthority(t)
			pair := authority.Issue(certs.Server("127.0.0.1"), certs.Client("node"))
			settings := config.Config{TLS: config.TLS{Certificate: pair.Certificate, Key: pair.Key, PeerCA: authority.File()}}
			options := []sdk.Option{sdk.WithTLS(authority.Config(pair))}
			if test.tokens {
				settings.Access.TokenFile = filepath.Join(t.TempDir(), "tokens")
				require.NoError(t, os.WriteFile(settings.Access.TokenFile, []byte("someone "+goodToken+"\n"), 0o600))
				options = append(options, sdk.WithToken(goodToken))
			}
			if test.clientCA {
				settings.TLS.ClientCA = authority.File()
			}
			if test.otherPeerCA {
				settings.TLS.PeerCA = certs.NewAuthority(t).File()
			}
			first, second := securedPair(t, settings)
			client, err := sdk.Dial(first.RPC, options...)
			require.NoError(t, err)
			defer func() { require.NoError(t, client.Close()) }()
			fillAndCommit(t, client, first.RPC, second.RPC)

			transport := &http.Transport{TLSClientConfig: authority.Config(pair)}
			defer transport.CloseIdleConnections()
			require.Eventually(t, func() bool {
				lag, unknown := "", ""
				for _, at := range []Addresses{first, second} {
					for series, value := range scrape(t, transport, at.HTTP) {
						switch {
						case strings.HasPrefix(series, "talos_groups_lag_records{"):
							lag += value
						case strings.HasPrefix(series, "talos_groups_lag_unknown_partitions{") && value != "0":
							unknown = "some"
						}
					}
				}
				return lag == test.lag && unknown == test.unknown
			}, patience, 100*time.Millisecond)
		})
	}
}

// securedPair runs two nodes of one cluster.
func securedPair(t *testing.T, settings config.Config) (first, second Addresses) {
	t.Helper()
	backing := External(filepath.Join(t.TempDir(), "store"), etcd.Config{Endpoints: []string{startEtcd(t, nil)}})
	var at [2]Addresses
	for i := range at {
		cfg := Config{Backing: backing, Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0"}
		var err error
		cfg.TLS, err = settings.ServerTLS(nowhere)
		require.NoError(t, err)
		cfg.Access, err = settings.Guard(nowhere)
		require.NoError(t, err)
		cfg.Peers, err = settings.Peers()
		require.NoError(t, err)
		var stop func() error
		at[i], stop = start(t, cfg)
		t.Cleanup(func() { require.NoError(t, stop()) })
	}
	return at[0], at[1]
}

// fillAndCommit writes two records to each of eight partitions, which both nodes own,
// and commits the start of one.
func fillAndCommit(t *testing.T, client *sdk.Client, owners ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	topic, err := client.CreateTopic(ctx, "logs", 8, talos.TopicConfig{})
	require.NoError(t, err)
	ownersAre(t, client, owners...)
	producer, err := client.NewProducer(ctx, "logs")
	require.NoError(t, err)
	for i := range 16 {
		require.NoError(t, producer.Send(ctx, int32(i%8), talos.Record{Value: []byte("a")}, nil))
	}
	require.NoError(t, producer.Close(ctx))
	require.NoError(t, client.CommitGroupOffsets(ctx, "readers", sdk.GroupOffset{
		GroupPartition: sdk.GroupPartition{Topic: topic.Name}, TopicID: topic.ID,
	}))
}

// scrape returns the values of /metrics by their series.
func scrape(t *testing.T, transport http.RoundTripper, address string) map[string]string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/metrics", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+goodToken)
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // it was only read
	require.Equal(t, http.StatusOK, response.StatusCode)
	all := make(map[string]string)
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		series, value, _ := strings.Cut(lines.Text(), " ")
		if number, err := strconv.ParseFloat(value, 64); err == nil {
			all[series] = strconv.FormatFloat(number, 'f', -1, 64)
		}
	}
	require.NoError(t, lines.Err())
	return all
}
