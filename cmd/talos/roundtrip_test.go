package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What comes back from one partition is what went in, byte for byte, and ends in
// a newline.
func TestLinesComeBackByteForByte(t *testing.T) {
	node, err := startDev(t.TempDir(), "--memory")
	require.NoError(t, err)
	defer node.kill()

	inputs := map[string][]byte{
		"empty":         {},
		"empty-lines":   []byte("\n\n\n"),
		"crlf":          []byte("one\r\ntwo\r\nthree"),
		"lone-cr":       []byte("a\rb\r\r\n\r"),
		"invalid-utf8":  {0xff, 0xfe, '\n', 0xc3, 0x28, '\n', 0x00, '\n', 0xe2, 0x82},
		"large-lines":   []byte(strings.Repeat("x", 1<<20) + "\n" + strings.Repeat("y", 1<<20)),
		"many-lines":    bytes.Repeat([]byte("a line of a log\n"), 20_000),
		"only-newline":  []byte("\n"),
		"no-last-break": []byte("last"),
	}
	for name, in := range logFiles(t) {
		inputs[name] = in
	}
	codecs := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	i := 0
	for name, in := range inputs {
		codec := codecs[i%len(codecs)]
		i++
		t.Run(name+"/"+codec, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "in")
			require.NoError(t, os.WriteFile(file, in, 0o600))
			talos(t, node.rpc, "", "topic", "create", name)
			talos(t, node.rpc, "", "produce", name, "--file", file, "--compression", codec)

			want := in
			if len(in) > 0 && !bytes.HasSuffix(in, []byte("\n")) {
				want = append(bytes.Clone(in), '\n')
			}
			got := talos(t, node.rpc, "", "consume", name, "--from", "earliest")
			if string(want) != got { // no diff: it can be long
				t.Errorf("%d bytes were to come out, %d did, and they differ", len(want), len(got))
			}
		})
	}
}

// logFiles are real text files: those of the Go distribution that are there on
// every machine that builds this.
func logFiles(t *testing.T) map[string][]byte {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	require.NoError(t, err)
	files := map[string][]byte{}
	for _, name := range []string{"src/net/http/h2_bundle.go", "src/net/http/server.go", "LICENSE"} {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), name))
		if os.IsNotExist(err) {
			continue
		}
		require.NoError(t, err)
		files[filepath.Base(name)] = text
	}
	require.NotEmpty(t, files)
	return files
}
