package packaging_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

func TestInstall(t *testing.T) {
	dest := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "make", "install", "DESTDIR="+dest, "PREFIX=/usr", "VERSION=v9.9.9")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	binary := filepath.Join(dest, "usr", "bin", "talos")

	t.Run("the binary is static", func(t *testing.T) {
		file, err := elf.Open(binary)
		require.NoError(t, err)
		defer func() { require.NoError(t, file.Close()) }()
		for _, p := range file.Progs {
			require.NotEqual(t, elf.PT_INTERP, p.Type, "it asks for a dynamic linker")
		}
	})
	t.Run("it knows its version", func(t *testing.T) {
		text, err := exec.CommandContext(t.Context(), binary, "version").CombinedOutput()
		require.Contains(t, string(text), "v9.9.9", "%v", err) // it fails without a node
	})
	t.Run("it takes what the nodes of docker compose read", func(t *testing.T) {
		files, err := filepath.Glob(filepath.Join(root, "packaging", "compose", "*.yaml"))
		require.NoError(t, err)
		require.Len(t, files, 2)
		for _, file := range files {
			text, err := exec.CommandContext(t.Context(), binary, "config", "check", "--config", file).CombinedOutput()
			require.NoError(t, err, "%s: %s", file, text)
		}
	})
	t.Run("completions", func(t *testing.T) {
		for path, says := range map[string]string{
			"share/bash-completion/completions/talos":    "__start_talos",
			"share/zsh/site-functions/_talos":            "#compdef talos",
			"share/fish/vendor_completions.d/talos.fish": "complete -c talos",
		} {
			text, err := os.ReadFile(filepath.Join(dest, "usr", path))
			require.NoError(t, err)
			require.Contains(t, string(text), says, path)
		}
	})
	t.Run("the unit runs it", func(t *testing.T) {
		text, err := os.ReadFile(filepath.Join(dest, "usr", "lib", "systemd", "system", "talos.service"))
		require.NoError(t, err)
		require.NotContains(t, string(text), "@PREFIX@")
		start := regexp.MustCompile(`(?m)^ExecStart=(/usr/bin/talos) (.*)$`).FindStringSubmatch(string(text))
		require.Len(t, start, 3)
		checkFlags(t, binary, strings.Fields(start[2]))
	})
}

func TestTheImageRunsWhatTheUnitRuns(t *testing.T) {
	image, err := os.ReadFile(filepath.Join(root, "packaging", "Dockerfile"))
	require.NoError(t, err)
	unit, err := os.ReadFile(filepath.Join(root, "packaging", "talos.service"))
	require.NoError(t, err)
	command := regexp.MustCompile(`(?m)^CMD \[(.*)\]$`).FindStringSubmatch(string(image))
	require.Len(t, command, 2)
	words := strings.NewReplacer(`"`, "", ",", "").Replace(command[1])
	require.Contains(t, string(unit), "/bin/talos "+words+"\n")

	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(mod))
	require.Len(t, version, 2)
	require.Contains(t, string(image), "FROM golang:"+version[1]+" AS build\n")
}

// checkFlags makes sure that the binary has the command and its flags.
func checkFlags(t *testing.T, binary string, words []string) {
	t.Helper()
	help, err := exec.CommandContext(t.Context(), binary, words[0], "--help").Output()
	require.NoError(t, err)
	for _, word := range words[1:] {
		if strings.HasPrefix(word, "--") {
			require.Contains(t, string(help), word+" ")
		}
	}
}
