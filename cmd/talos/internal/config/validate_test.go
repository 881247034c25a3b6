package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/certs"
)

// usable is a configuration without faults.
func usable() Config {
	c := Defaults()
	c.Store, c.Etcd.Endpoints = "mem:", []string{"etcd:2379"}
	return c
}

func secret(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestValidate(t *testing.T) {
	ca := certs.NewAuthority(t)
	pair := ca.Issue(certs.Server("localhost"))
	tokens := secret(t, "a aaaaaaaaaaaaaaaaaaaaaaaa\n")
	secured := func(c *Config) { c.TLS.Certificate, c.TLS.Key = pair.Certificate, pair.Key }
	for name, test := range map[string]struct {
		edit   func(*Config)
		faults []string
	}{
		"nothing": {func(*Config) {}, nil},
		"all that is needed": {func(c *Config) { c.Store, c.Etcd.Endpoints, c.Listen = "", nil, "" }, []string{
			"listen is missing", "store is missing: set store, --store or TALOS_SERVER_STORE", "etcd.endpoints is missing",
		}},
		"an unknown store": {func(c *Config) { c.Store = "ftp://alice:sesame@host/x" }, []string{`there is no store "ftp"`}},
		"addresses": {func(c *Config) { c.Listen, c.HTTP, c.Advertise = "here", "127.0.0.1:99999", "0.0.0.0:7070" }, []string{
			`listen is "here": want host:port`, `http is "127.0.0.1:99999"`, `advertise is "0.0.0.0:7070": want the host's name`,
		}},
		"the same port twice": {func(c *Config) { c.HTTP = c.Listen }, []string{"http and listen are both 127.0.0.1:7070"}},
		"open to all": {func(c *Config) { c.Listen, c.HTTP = ":7070", "0.0.0.0:7071" }, []string{
			"listen is :7070, which others can reach, without TLS: set tls.certificate and tls.key (--tls-cert, --tls-key), " +
				"and without access control: set access.token_file or tls.client_ca (--token-file, --tls-client-ca)",
			"http is 0.0.0.0:7071, which others can reach",
		}},
		"and it says so":       {func(c *Config) { c.Listen, c.HTTP, c.Insecure = ":7070", "0.0.0.0:7071", true }, nil},
		"the pages alone":      {func(c *Config) { c.HTTP = "10.0.0.1:7071" }, []string{"http is 10.0.0.1:7071"}},
		"loopback by its name": {func(c *Config) { c.Listen, c.HTTP = "localhost:7070", "[::1]:7071" }, nil},
		"TLS alone": {func(c *Config) { secured(c); c.Listen = ":7070" }, []string{
			"listen is :7070, which others can reach, without access control",
		}},
		"tokens alone": {func(c *Config) { c.Access.TokenFile = tokens; c.Listen = ":7070" }, []string{
			"listen is :7070, which others can reach, without TLS",
		}},
		"TLS and tokens": {func(c *Config) { secured(c); c.Access.TokenFile = tokens; c.Listen, c.HTTP = ":7070", ":7071" }, nil},
		"TLS and mTLS":   {func(c *Config) { secured(c); c.TLS.ClientCA = ca.File(); c.Listen, c.HTTP = ":7070", ":7071" }, nil},
		"half of TLS":    {func(c *Config) { c.TLS.Key = pair.Key; c.TLS.ClientCA = ca.File() }, []string{"go together", "tls.client_ca needs TLS"}},
		"missing files": {func(c *Config) {
			c.TLS.Certificate, c.TLS.Key, c.Access.TokenFile = "/no/cert", "/no/key", "/no/tokens"
		}, []string{"tls: certificate /no/cert", "access.token_file: stat /no/tokens"}},
		"swapped files":   {func(c *Config) { c.TLS.Certificate, c.TLS.Key = pair.Key, pair.Certificate }, []string{"tls: certificate " + pair.Key}},
		"etcd's password": {func(c *Config) { c.Etcd.User = "u" }, []string{"etcd.user needs etcd.password_file"}},
		"etcd's user":     {func(c *Config) { c.Etcd.Password = "p" }, []string{"no etcd.user"}},
		"both passwords": {func(c *Config) { c.Etcd.User, c.Etcd.Password, c.Etcd.PasswordFile = "u", "p", "/no/file" }, []string{
			"exclude each other", "etcd.password_file: stat /no/file",
		}},
		"an empty password": {func(c *Config) { c.Etcd.User, c.Etcd.PasswordFile = "u", secret(t, "\n") }, []string{"is empty"}},
		"etcd's TLS": {func(c *Config) { c.Etcd.Endpoints, c.Etcd.TLS.Certificate = []string{"https://e:1", "e"}, "x" }, []string{
			"set etcd.tls.ca for https", `has "e": want host:port`, "go together", "needs etcd.tls.ca",
		}},
		"etcd without TLS": {func(c *Config) { c.Etcd.Endpoints = []string{"http://e:1"} }, nil},
		"etcd in clear, with a CA": {func(c *Config) {
			c.Etcd.Endpoints, c.Etcd.TLS.CA = []string{"HTTP://e:1", "f:1"}, ca.File()
		}, []string{`etcd.endpoints has "HTTP://e:1", but etcd.tls.ca is set: want https`}},
		"etcd in clear and with TLS": {func(c *Config) {
			c.Etcd.Endpoints, c.Etcd.TLS.CA = []string{"http://e:1", "https://f:1"}, ca.File()
		}, []string{`but etcd.tls.ca is set`, "etcd.endpoints has both http and https"}},
		"etcd over something else": {func(c *Config) { c.Etcd.Endpoints = []string{"ftp://e:1"} }, []string{`has "ftp://e:1": want host:port`}},
		"etcd's CA":                {func(c *Config) { c.Etcd.TLS.CA = pair.Key }, []string{"holds no certificate in PEM"}},
		"limits": {func(c *Config) {
			c.Limits.Streams, c.Limits.AnswerBytes, c.Limits.AnswerTimeout = 0, 0, 1
			c.Limits.RecordBytes, c.Limits.ConnectionsPerAddress = 2<<20, c.Limits.Connections+1
			c.DrainTimeout, c.Etcd.DialTimeout = time.Millisecond, 0
			c.Etcd.SessionTTL = 1500 * time.Millisecond
			c.Limits.ConnectionAnswerBytes = 1 << 20
		}, []string{
			"etcd.dial_timeout is 0s", "etcd.session_ttl is 1.5s: want whole seconds", "limits.streams is 0: want a positive number", "limits.answer_bytes is 0: want a positive size",
			"limits.answer_timeout is 1ns: want at least 100ms", "limits.record_bytes is 2097152", "limits.connection_answer_bytes is 1MiB: want room for one answer", "limits.connections_per_address is above",
			"limits.connection_answer_bytes is above", "drain_timeout is 1ms",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := usable()
			test.edit(&c)
			err := c.Validate(Server)
			if len(test.faults) == 0 {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, talos.InvalidConfig)
			var faults Faults
			require.ErrorAs(t, err, &faults)
			require.Len(t, faults, len(test.faults), "%v", err)
			for i, want := range test.faults {
				require.ErrorContains(t, faults[i], want)
			}
		})
	}
}

func TestADevNodeNeedsNothing(t *testing.T) {
	c := Defaults()
	require.NoError(t, c.Validate(Dev))
	require.Empty(t, c.Exposed())
	c.Listen = "0.0.0.0:7070"
	require.Error(t, c.Validate(Dev))
	c.Insecure = true
	require.NoError(t, c.Validate(Dev))
	require.NotEmpty(t, c.Exposed())
}
