package node

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server/access"
	"github.com/talos-log/talos/test/certs"
)

const (
	goodToken = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	// patience is how long a test waits for what must come.
	patience = time.Minute
)

// secureNode runs a node with this TLS and access control, and returns where.
func secureNode(t *testing.T, files access.Files, tokens bool) Addresses {
	t.Helper()
	cfg := Config{Backing: Memory(), Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0"}
	var err error
	if files.Certificate != "" {
		cfg.TLS, err = access.TLS(files, nowhere)
		require.NoError(t, err)
	}
	if tokens || files.ClientCA != "" {
		path := ""
		if tokens {
			path = filepath.Join(t.TempDir(), "tokens")
			require.NoError(t, os.WriteFile(path, []byte("someone "+goodToken+"\n"), 0o600))
		}
		cfg.Access, err = access.NewGuard(path, files.ClientCA != "", nowhere)
		require.NoError(t, err)
	}
	at, stop := start(t, cfg)
	t.Cleanup(func() { require.NoError(t, stop()) })
	return at
}

// tryTopics calls the node as a client with these options.
func tryTopics(t *testing.T, address string, options ...sdk.Option) error {
	t.Helper()
	client, err := sdk.Dial(address, options...)
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = client.Topics(ctx)
	return err
}

func requireKind(t *testing.T, err error, want talos.Kind, words string) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, want)
	require.ErrorContains(t, err, words)
	require.NotContains(t, err.Error(), goodToken)
}

func TestMutualTLS(t *testing.T) {
	nodes, clients, strangers := certs.NewAuthority(t), certs.NewAuthority(t), certs.NewAuthority(t)
	pair := nodes.Issue(certs.Server("127.0.0.1"))
	at := secureNode(t, access.Files{Certificate: pair.Certificate, Key: pair.Key, ClientCA: clients.File()}, false)
	for name, test := range map[string]struct {
		tls   *tls.Config
		want  talos.Kind
		words string
	}{
		"a good certificate":      {nodes.Config(clients.Issue(certs.Client("c"))), "", ""},
		"no certificate":          {nodes.Config(), talos.Unauthenticated, "gave no certificate"},
		"of another authority":    {nodes.Config(strangers.Issue(certs.Client("c"))), talos.Unauthenticated, "certificate"},
		"one that has expired":    {nodes.Config(clients.Issue(certs.Client("c"), certs.Expired())), talos.Unauthenticated, "certificate"},
		"one of a server":         {nodes.Config(clients.Issue(certs.Server("c"))), talos.Unauthenticated, "certificate"},
		"trusts another":          {strangers.Config(clients.Issue(certs.Client("c"))), talos.Untrusted, "unknown authority"},
		"no TLS, where TLS is on": {nil, talos.Unavailable, "it may want TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			var options []sdk.Option
			if test.tls != nil {
				options = append(options, sdk.WithTLS(test.tls))
			}
			requireKind(t, tryTopics(t, at.RPC, options...), test.want, test.words)
		})
	}
}

func TestNodesThatClientsDoNotTrust(t *testing.T) {
	nodes := certs.NewAuthority(t)
	for name, test := range map[string]struct {
		options []certs.Option
		words   string
	}{
		"another name":            {[]certs.Option{certs.Server("talos.example")}, "127.0.0.1"},
		"an expired certificate":  {[]certs.Option{certs.Server("127.0.0.1"), certs.Expired()}, "expired"},
		"a client's certificate":  {[]certs.Option{certs.Client("127.0.0.1")}, "x509: certificate"},
		"no TLS where it must be": {nil, "the node speaks no TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			var files access.Files
			if test.options != nil {
				pair := nodes.Issue(test.options...)
				files.Certificate, files.Key = pair.Certificate, pair.Key
			}
			at := secureNode(t, files, false)
			requireKind(t, tryTopics(t, at.RPC, sdk.WithTLS(nodes.Config())), talos.Untrusted, test.words)
		})
	}
}

func TestTokens(t *testing.T) {
	nodes, clients := certs.NewAuthority(t), certs.NewAuthority(t)
	pair := nodes.Issue(certs.Server("127.0.0.1"))
	at := secureNode(t, access.Files{Certificate: pair.Certificate, Key: pair.Key, ClientCA: clients.File()}, true)
	trusting := sdk.WithTLS(nodes.Config())
	for name, test := range map[string]struct {
		options []sdk.Option
		want    talos.Kind
		words   string
	}{
		"a good token":                {[]sdk.Option{trusting, sdk.WithToken(goodToken)}, "", ""},
		"a certificate in its place":  {[]sdk.Option{sdk.WithTLS(nodes.Config(clients.Issue(certs.Client("c"))))}, "", ""},
		"neither":                     {[]sdk.Option{trusting}, talos.Unauthenticated, "neither a token nor a certificate"},
		"a wrong token":               {[]sdk.Option{trusting, sdk.WithToken(goodToken + "x")}, talos.Unauthenticated, "token is not known"},
		"a bad certificate beside it": {[]sdk.Option{sdk.WithTLS(nodes.Config(nodes.Issue(certs.Client("c")))), sdk.WithToken(goodToken)}, talos.Unauthenticated, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			requireKind(t, tryTopics(t, at.RPC, test.options...), test.want, test.words)
		})
	}
}

// A producer and a consumer go through TLS and the token as well, and a producer
// that is not let in ends.
func TestRecordsThroughTLS(t *testing.T) {
	nodes := certs.NewAuthority(t)
	pair := nodes.Issue(certs.Server("127.0.0.1"))
	at := secureNode(t, access.Files{Certificate: pair.Certificate, Key: pair.Key}, true)
	client, err := sdk.Dial(at.RPC, sdk.WithTLS(nodes.Config()), sdk.WithToken(goodToken))
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	_, err = client.CreateTopic(t.Context(), "logs", 1, talos.TopicConfig{})
	require.NoError(t, err)
	producer, err := client.NewProducer(t.Context(), "logs")
	require.NoError(t, err)
	_, err = producer.SendSync(t.Context(), 0, talos.Record{Value: []byte("a")})
	require.NoError(t, err)
	require.NoError(t, producer.Close(t.Context()))
	consumer, err := client.NewConsumer(t.Context(), "logs", sdk.ConsumerStart(sdk.Earliest))
	require.NoError(t, err)
	defer func() { require.NoError(t, consumer.Close()) }()
	messages, err := consumer.Poll(t.Context())
	require.NoError(t, err)
	require.Len(t, messages, 1)

	stranger, err := sdk.Dial(at.RPC, sdk.WithTLS(nodes.Config()))
	require.NoError(t, err)
	defer func() { require.NoError(t, stranger.Close()) }()
	_, err = stranger.NewProducer(t.Context(), "logs")
	require.ErrorIs(t, err, talos.Unauthenticated)
}

// A producer whose stream is open when its token goes stores nothing from the moment
// on at which the node has seen that.
func TestATokenThatGoesEndsItsStreams(t *testing.T) {
	tokens := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(tokens, []byte("someone "+goodToken+"\n"), 0o600))
	guard, err := access.NewGuard(tokens, false, nowhere)
	require.NoError(t, err)
	at, stop := start(t, Config{Backing: Memory(), Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Access: guard})
	defer func() { require.NoError(t, stop()) }()
	client, err := sdk.Dial(at.RPC, sdk.WithToken(goodToken), sdk.WithTokenInClear())
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	_, err = client.CreateTopic(t.Context(), "logs", 1, talos.TopicConfig{})
	require.NoError(t, err)
	producer, err := client.NewProducer(t.Context(), "logs")
	require.NoError(t, err)
	_, err = producer.SendSync(t.Context(), 0, talos.Record{Value: []byte("a")})
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(tokens, []byte("another "+goodToken+"x\n"), 0o600))
	require.Eventually(t, func() bool {
		_, err = producer.SendSync(t.Context(), 0, talos.Record{Value: []byte("b")})
		return err != nil
	}, patience, 50*time.Millisecond)
	require.ErrorIs(t, err, talos.Unauthenticated)
	_ = producer.Close(t.Context()) // it has failed
}

func TestPagesAreGuarded(t *testing.T) {
	nodes := certs.NewAuthority(t)
	pair := nodes.Issue(certs.Server("127.0.0.1"))
	at := secureNode(t, access.Files{Certificate: pair.Certificate, Key: pair.Key}, true)
	// As curl and Prometheus do, it would rather speak HTTP/2.
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: nodes.Config(), DisableKeepAlives: true, ForceAttemptHTTP2: true}}
	get := func(path, token string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+at.HTTP+path, http.NoBody)
		require.NoError(t, err)
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := web.Do(request)
		require.NoError(t, err)
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode, string(text)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		code, _ := get(path, "")
		require.Equal(t, http.StatusOK, code, path)
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline"} {
		code, text := get(path, "")
		require.Equal(t, http.StatusUnauthorized, code, path)
		require.Contains(t, text, "the client gave no token")
		code, _ = get(path, "wrong")
		require.Equal(t, http.StatusUnauthorized, code, path)
		code, _ = get(path, goodToken)
		require.Equal(t, http.StatusOK, code, path)
	}
}

// A certificate that is exchanged is in force without a restart.
func TestCertificatesAreExchanged(t *testing.T) {
	before, after := certs.NewAuthority(t), certs.NewAuthority(t)
	pair := before.Issue(certs.Server("127.0.0.1"))
	at := secureNode(t, access.Files{Certificate: pair.Certificate, Key: pair.Key}, false)
	require.NoError(t, tryTopics(t, at.RPC, sdk.WithTLS(before.Config())))
	after.IssueTo(pair, certs.Server("127.0.0.1"))
	require.Eventually(t, func() bool { return tryTopics(t, at.RPC, sdk.WithTLS(after.Config())) == nil }, patience, 50*time.Millisecond)
	require.ErrorIs(t, tryTopics(t, at.RPC, sdk.WithTLS(before.Config())), talos.Untrusted)
}
