package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/cmd/talos/internal/stores"

	"github.com/talos-log/talos/talos"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "talos.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// Each layer is above the one before, key by key.
func TestLayers(t *testing.T) {
	file := write(t, "listen: 127.0.0.1:1\nhttp: ''\nlimits:\n  streams: 1\n  topics: 1\netcd: {endpoints: [a:1, b:2], dial_timeout: 3s}\n")
	l, err := Load(Layers{
		File: file,
		Environ: []string{
			"TALOS_SERVER_LISTEN=127.0.0.1:2", "TALOS_SERVER_LIMITS_TOPICS=2", "TALOS_SERVER_ETCD_ENDPOINTS=c:3, d:4",
			"TALOS_SERVER_LIMITS_ANSWER_BYTES=1GiB", "TALOS_SERVER=ignored:1", "TALOS_SERVER_CONFIG=ignored", "PATH=ignored",
			"TALOS_SERVER_SERVICE_HOST=10.0.0.1", "TALOS_SERVER_PORT_7070_TCP_ADDR=10.0.0.1",
			"TALOS_SERVER_METRICS_SERVICE_HOST=10.0.0.2", "TALOS_SERVER_METRICS_SERVICE_PORT_HTTP=7071",
			"TALOS_SERVER_METRICS_PORT=tcp://10.0.0.2:7071", "TALOS_SERVER_METRICS_PORT_7071_TCP=tcp://10.0.0.2:7071",
		},
		Flags: map[string]string{"listen": "127.0.0.1:3", "log-level": "debug", "insecure": "true"},
	})
	require.NoError(t, err)
	want := Defaults()
	want.Listen, want.HTTP, want.Insecure = "127.0.0.1:3", "", true
	want.Limits.Streams, want.Limits.Topics, want.Limits.AnswerBytes = 1, 2, 1<<30
	want.Etcd.Endpoints, want.Etcd.DialTimeout = []string{"c:3", "d:4"}, 3*time.Second
	want.LogLevel = -4
	require.Equal(t, want, l.Config)

	sources := map[string]string{}
	for _, v := range l.Values() {
		sources[v.Key] = v.Source
	}
	require.Equal(t, "flag --listen", sources["listen"])
	require.Equal(t, "file "+file+":2", sources["http"])
	require.Equal(t, "env TALOS_SERVER_LIMITS_TOPICS", sources["limits.topics"])
	require.Equal(t, "default", sources["store"])
}

// All faults of the file and of the environment come at once, each with its place.
func TestFaultsOfReading(t *testing.T) {
	file := write(t, `listen: [a, b]
limits:
  streams: many
  conections: 5
  topics: 1
  topics: 2
store:
etcd: {password: hunter2hunter2, endpoints: {a: b}, dial_timeout: 5}
node_id: &anchor x
advertise: *anchor
streams: 1
tls: certificate.pem
insecure: yes
limits.topics: 1
`)
	_, err := Load(Layers{File: file, Environ: []string{"TALOS_SERVER_LIMITS_TOPIC=1", "TALOS_SERVER_DRAIN_TIMEOUT=soon", "TALOS_SERVER_ETCD_PASSWORD=x"}})
	require.ErrorIs(t, err, talos.InvalidConfig)
	require.Equal(t, talos.InvalidConfig, talos.KindOf(err))
	var faults Faults
	require.ErrorAs(t, err, &faults)
	var got []string
	for _, f := range faults {
		got = append(got, strings.TrimPrefix(f.Error(), file+":"))
	}
	require.Equal(t, []string{
		"1: listen wants a value (text)",
		`3: limits.streams is "many": want a whole number`,
		"4: unknown key limits.conections; did you mean limits.connections?",
		"6: limits.topics stands in line 5 already",
		"7: store has no value; leave the key out, or write '' for an empty text",
		"8: etcd.endpoints wants a value (list)",
		`8: etcd.dial_timeout is "5": want a duration with its unit: 500ms, 30s, 5m`,
		"9: node_id: anchors and aliases are not taken, write the value out",
		"10: advertise: anchors and aliases are not taken, write the value out",
		"11: unknown key streams; did you mean limits.streams?",
		"12: tls holds keys, not a value",
		`13: insecure is "yes": want true or false`,
		"14: limits.topics is a path: write it as nested keys",
		"TALOS_SERVER_LIMITS_TOPIC: no setting is of this name; see docs/configuration.md",
		`TALOS_SERVER_DRAIN_TIMEOUT: drain_timeout is "soon": want a duration with its unit: 500ms, 30s, 5m`,
	}, got)
}

func TestFilesThatCannotBeRead(t *testing.T) {
	for name, test := range map[string]struct{ text, fault string }{
		"not YAML":      {"a: [", "did not find expected"},
		"two documents": {"listen: a:1\n---\nlisten: b:1\n", "more than one YAML document"},
		"a list":        {"- a\n", ":1: want keys with values"},
		"too large":     {strings.Repeat("#", maxFileBytes+1), "a configuration file has up to"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(Layers{File: write(t, test.text)})
			require.ErrorContains(t, err, test.fault)
			require.ErrorIs(t, err, talos.InvalidConfig)
		})
	}
	_, err := Load(Layers{File: filepath.Join(t.TempDir(), "none.yaml")})
	require.ErrorContains(t, err, "no such file")
	for _, empty := range []string{"", "# nothing\n", "---\n", "etcd:\n  # nothing\n"} {
		_, err := Load(Layers{File: write(t, empty)})
		require.NoError(t, err, "%q", empty)
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "1": 1, "64KiB": 64 << 10, "3 MiB": 3 << 20, "2GiB": 2 << 30} {
		var got Bytes
		require.NoError(t, got.UnmarshalText([]byte(text)))
		require.Equal(t, want, got)
		again, err := got.MarshalText()
		require.NoError(t, err)
		require.NoError(t, got.UnmarshalText(again))
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "-1", "1KB", "1.5MiB", "MiB", "9999999999GiB"} {
		require.Error(t, new(Bytes).UnmarshalText([]byte(text)), text)
	}
}

// Whoever lowers a whole need not lower its parts as well; what is set stays as it
// is, and is refused if it can't be.
func TestLimitsFollowThoseThatTheyArePartsOf(t *testing.T) {
	lower := []string{
		"TALOS_SERVER_LIMITS_CONNECTIONS=10", "TALOS_SERVER_LIMITS_ANSWER_BYTES=20MiB",
		"TALOS_SERVER_STORE=mem:", "TALOS_SERVER_ETCD_ENDPOINTS=e:1",
	}
	l, err := Read(Layers{Environ: lower}, Server)
	require.NoError(t, err)
	require.Equal(t, 10, l.Limits.ConnectionsPerAddress)
	require.Equal(t, Bytes(20<<20), l.Limits.ConnectionAnswerBytes)

	_, err = Read(Layers{Environ: append(lower,
		"TALOS_SERVER_LIMITS_CONNECTIONS_PER_ADDRESS=11", "TALOS_SERVER_LIMITS_CONNECTION_ANSWER_BYTES=21MiB")}, Server)
	require.ErrorContains(t, err, "limits.connections_per_address is above")
	require.ErrorContains(t, err, "limits.connection_answer_bytes is above")
}

func TestSecretsAreMasked(t *testing.T) {
	l, err := Load(Layers{Environ: []string{
		"TALOS_SERVER_ETCD_PASSWORD=hunter2hunter2",
		"TALOS_SERVER_STORE=s3://user:sesame@host/bucket?endpoint=e:1&secret_key=sesame",
	}})
	require.NoError(t, err)
	shown := l.YAML()
	require.NotContains(t, shown, "hunter2")
	require.NotContains(t, shown, "sesame")
	require.Contains(t, shown, `  password: '********'  # env TALOS_SERVER_ETCD_PASSWORD`)
	require.Contains(t, shown, "endpoint=e:1&secret_key=********")
	require.Equal(t, "s3://"+stores.Masked, stores.Mask("s3://%zz"))
}

// What print shows reads back as it was.
func TestPrintReadsBack(t *testing.T) {
	l, err := Load(Layers{Environ: []string{
		"TALOS_SERVER_NODE_ID=12", "TALOS_SERVER_ETCD_PREFIX=yes", "TALOS_SERVER_ETCD_USER=a: b # c",
		"TALOS_SERVER_ETCD_ENDPOINTS=a:1,b:2", "TALOS_SERVER_STORE=mem:",
	}})
	require.NoError(t, err)
	again, err := Load(Layers{File: write(t, l.YAML())})
	require.NoError(t, err)
	require.Equal(t, l.Config, again.Config)
}

// The example holds every key, and is right with and without what is commented out.
func TestExample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "talos.yaml"))
	require.NoError(t, err)
	require.Equal(t, Example(), string(text), "run `make generate`")
	l, err := Read(Layers{File: write(t, string(text))}, Server)
	require.NoError(t, err)
	want := Defaults()
	want.Store, want.Etcd.Endpoints = l.Store, l.Etcd.Endpoints
	require.Equal(t, want, l.Config)

	var all []string
	for line := range strings.Lines(string(text)) {
		bare := strings.TrimLeft(line, " ")
		name, _, _ := strings.Cut(strings.TrimPrefix(bare, "# "), ":")
		if strings.HasPrefix(bare, "# ") && !strings.Contains(name, " ") {
			line = strings.Replace(line, "# ", "", 1)
		}
		all = append(all, line)
	}
	l, err = Load(Layers{File: write(t, strings.Join(all, ""))})
	require.NoError(t, err)
	for _, v := range l.Values() {
		require.Contains(t, v.Source, "file ", v.Key)
	}
}

func TestEverySettingIsDescribed(t *testing.T) {
	c := Defaults()
	flags := map[string]bool{}
	for _, s := range Settings(&c) {
		require.NotEmpty(t, s.Doc, s.Key)
		require.False(t, s.Flag != "" && flags[s.Flag], "%s is doubled", s.Flag)
		flags[s.Flag] = true
		require.NoError(t, s.Check(s.Text()), s.Key)
	}
}
