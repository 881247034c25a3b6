package access

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
)

const (
	tokenA = "aaaaaaaaaaaaaaaaaaaaaaaa"
	tokenB = "bbbbbbbbbbbbbbbbbbbbbbbb"
)

func tokenFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func nowhere() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestTokenFiles(t *testing.T) {
	for name, test := range map[string]struct {
		text, fault string
	}{
		"two tokens":        {"# comment\n\na " + tokenA + "\nb  " + tokenB + "\n", ""},
		"nothing":           {"# comment\n", "holds no token"},
		"no name":           {tokenA + "\n", ":1: want a name, a space, and a token"},
		"three words":       {"a " + tokenA + " " + tokenB, ":1: want a name"},
		"short":             {"\na short\n", `:2: the token has 5 bytes, want 16 to 1024; ` + "`openssl rand -hex 32` makes one"},
		"long":              {"a " + strings.Repeat("x", 1025), "has 1025 bytes"},
		"a name is doubled": {"a " + tokenA + "\na " + tokenB, `:2: the line's name stands above as well`},
		"swapped":           {tokenA + " alice", `:1: the token has 5 bytes`},
		"swapped, doubled":  {tokenA + " averylongnameofauser\n" + tokenA + " anotherlongnameofauser", `:2: the line's name`},
		"too many":          {manyTokens(), "the limit is 1000 tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewGuard(tokenFile(t, test.text), false, nowhere())
			if test.fault == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.fault)
			require.NotContains(t, err.Error(), tokenA, "no message shows a token")
		})
	}
}

func manyTokens() string {
	var b strings.Builder
	for i := range maxTokens + 1 {
		b.WriteString(strings.Repeat("n", i+1) + " " + tokenA + "\n")
	}
	return b.String()
}

func TestATokenFileThatOthersReadIsRefused(t *testing.T) {
	path := tokenFile(t, "a "+tokenA)
	for _, mode := range []os.FileMode{0o604, 0o602, 0o620, 0o644, 0o666} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := NewGuard(path, false, nowhere())
		require.ErrorContains(t, err, "run `chmod 600 "+path+"`", "%o", mode)
	}
	for _, mode := range []os.FileMode{0o600, 0o400, 0o640} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := NewGuard(path, false, nowhere())
		require.NoError(t, err, "%o", mode)
	}
}

func TestGuard(t *testing.T) {
	verified := func(until time.Duration) *tls.ConnectionState {
		return &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{NotAfter: time.Now().Add(until)}}}}
	}
	path := tokenFile(t, "a "+tokenA+"\nb "+tokenB)
	guard := func(path string, certificates bool) *Guard {
		g, err := NewGuard(path, certificates, nowhere())
		require.NoError(t, err)
		return g
	}
	tokensAlone, certificatesAlone, either := guard(path, false), guard("", true), guard(path, true)
	for name, test := range map[string]struct {
		guard   *Guard
		state   *tls.ConnectionState
		headers []string
		fault   string
	}{
		"no guard":                      {nil, nil, nil, ""},
		"a token":                       {tokensAlone, nil, []string{"Bearer " + tokenA}, ""},
		"the other, in small letters":   {tokensAlone, nil, []string{"bearer " + tokenB}, ""},
		"no token":                      {tokensAlone, nil, nil, "no token"},
		"another scheme":                {tokensAlone, nil, []string{"Basic " + tokenA}, "no token"},
		"two headers":                   {tokensAlone, nil, []string{"Bearer " + tokenA, "Bearer " + tokenA}, "no token"},
		"an empty token":                {tokensAlone, nil, []string{"Bearer "}, "no token"},
		"a wrong token":                 {tokensAlone, nil, []string{"Bearer " + tokenA + "x"}, "not known"},
		"a prefix of a token":           {tokensAlone, nil, []string{"Bearer " + tokenA[:20]}, "not known"},
		"a certificate, tokens alone":   {tokensAlone, verified(time.Hour), nil, "no token"},
		"a certificate":                 {certificatesAlone, verified(time.Hour), nil, ""},
		"one that expired since":        {certificatesAlone, verified(-time.Second), nil, "expired"},
		"none":                          {certificatesAlone, &tls.ConnectionState{}, nil, "no certificate"},
		"a token, certificates alone":   {certificatesAlone, nil, []string{"Bearer " + tokenA}, "no certificate"},
		"either: a certificate":         {either, verified(time.Hour), nil, ""},
		"either: a token":               {either, &tls.ConnectionState{}, []string{"Bearer " + tokenA}, ""},
		"either: neither":               {either, &tls.ConnectionState{}, nil, "neither a token nor a certificate"},
		"either: a wrong token, no TLS": {either, nil, []string{"Bearer wrong"}, "not known"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.guard.Check(test.state, test.headers)
			if test.fault == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, talos.Unauthenticated)
			require.ErrorContains(t, err, test.fault)
		})
	}
}

// A file that changes is in force after pollInterval; one that can't be used
// changes nothing.
func TestTokensAreReadAgain(t *testing.T) {
	path := tokenFile(t, "a "+tokenA)
	var log strings.Builder
	g, err := NewGuard(path, false, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	now := time.Now()
	g.tokens.now = func() time.Time { return now }
	allowed := func(token string) bool { return g.Check(nil, []string{"Bearer " + token}) == nil }
	write := func(text string) {
		now = now.Add(time.Minute)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chtimes(path, now, now))
	}
	require.True(t, allowed(tokenA))

	write("b " + tokenB)
	require.False(t, allowed(tokenA))
	require.True(t, allowed(tokenB))

	write("damaged")
	require.True(t, allowed(tokenB), "what was loaded stays in force")
	now = now.Add(time.Minute)
	require.True(t, allowed(tokenB))
	require.Equal(t, 1, strings.Count(log.String(), "can't be used"), "and it is told once")
	require.NoError(t, os.Remove(path))
	now = now.Add(time.Minute)
	require.True(t, allowed(tokenB))

	write("a " + tokenA)
	require.True(t, allowed(tokenA))
	// Within the interval nothing is looked at.
	require.NoError(t, os.Remove(path))
	now = now.Add(pollInterval / 2)
	require.True(t, allowed(tokenA))
	require.NotContains(t, log.String(), tokenA)
}

// What made a changed file unusable may go without a change of time and size: the
// file's mode, or a fault of the disk.
func TestAChangedFileIsTriedUntilItCanBeUsed(t *testing.T) {
	path := tokenFile(t, "a "+tokenA)
	var log strings.Builder
	fault := error(nil)
	w, err := newWatched(slog.New(slog.NewTextHandler(&log, nil)), func() (tokens, error) {
		if fault != nil {
			return nil, fault
		}
		return readTokens(path)
	}, path)
	require.NoError(t, err)
	now := time.Now()
	w.now = func() time.Time { return now }
	knows := func(token string) bool {
		now = now.Add(time.Minute)
		return w.get().know(token)
	}
	require.NoError(t, os.WriteFile(path, []byte("b "+tokenB+"\n"), 0o600))
	fault = errors.New("input/output error")
	require.True(t, knows(tokenA))
	fault = nil
	require.True(t, knows(tokenB), "the fault is gone, the file is the same")

	require.NoError(t, os.WriteFile(path, []byte("a "+tokenA), 0o600))
	require.NoError(t, os.Chmod(path, 0o644))
	require.False(t, knows(tokenA))
	require.False(t, knows(tokenA))
	require.NoError(t, os.Chmod(path, 0o600))
	require.True(t, knows(tokenA))
	require.Equal(t, 2, strings.Count(log.String(), "can't be used"), "each fault is told once")

	require.NoError(t, os.Chmod(path, 0o644))
	knows(tokenA)
	require.Equal(t, 3, strings.Count(log.String(), "can't be used"), "a mode that others can read with is a change")
}

func TestTLSFilesThatCannotBeUsed(t *testing.T) {
	folder := t.TempDir()
	empty := filepath.Join(folder, "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	_, err := TLS(Files{Certificate: filepath.Join(folder, "no.pem"), Key: empty}, nowhere())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = TLS(Files{Certificate: empty, Key: empty}, nowhere())
	require.ErrorContains(t, err, empty)
	_, err = Pool(empty)
	require.ErrorContains(t, err, "holds no certificate in PEM")
}
