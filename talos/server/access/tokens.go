package access

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"os"
	"strings"
)

const (
	// maxTokens bounds the lines of a token file.
	maxTokens = 1_000
	// minTokenLength and maxTokenLength are in bytes.
	minTokenLength = 16
	maxTokenLength = 1024
)

// tokens are the hashes of what a token file holds.
type tokens []token

type token struct {
	hash [sha256.Size]byte
}

// know tells whether there is such a token. It takes as long for one that is known as
// for one that is not.
func (t tokens) know(secret string) (ok bool) {
	hash := sha256.Sum256([]byte(secret))
	for _, one := range t {
		if subtle.ConstantTimeCompare(one.hash[:], hash[:]) == 1 {
			ok = true
		}
	}
	return ok
}

// CheckSecretFile returns an error if others than the owner and its group may read
// the file, or others than the owner change it.
func CheckSecretFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o037 != 0 {
		return fmt.Errorf("%s has mode %04o: others could read or change what is secret; run `chmod 600 %s`", path, mode, path)
	}
	return nil
}

func readTokens(path string) (tokens, error) {
	secrets, err := readSecrets(path)
	if err != nil {
		return nil, err
	}
	all := make(tokens, len(secrets))
	for i, secret := range secrets {
		all[i] = token{sha256.Sum256([]byte(secret))}
	}
	return all, nil
}

// readSecrets reads a file of lines "name token"; empty lines and those that
// begin with # don't count. Nobody but the owner and its group may read it.
func readSecrets(path string) ([]string, error) {
	if err := CheckSecretFile(path); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []string
	names := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		// No message shows a part of the line: which one is the secret is not known
		// if its words are swapped.
		name, secret, found := strings.Cut(line, " ")
		secret = strings.TrimSpace(secret)
		switch {
		case !found || strings.ContainsAny(secret, " \t"):
			return nil, fmt.Errorf("%s:%d: want a name, a space, and a token without spaces", path, number)
		case len(secret) < minTokenLength || len(secret) > maxTokenLength:
			return nil, fmt.Errorf("%s:%d: the token has %d bytes, want %d to %d; `openssl rand -hex 32` makes one",
				path, number, len(secret), minTokenLength, maxTokenLength)
		case names[name]:
			return nil, fmt.Errorf("%s:%d: the line's name stands above as well", path, number)
		case len(all) == maxTokens:
			return nil, fmt.Errorf("%s:%d: the limit is %d tokens", path, number, maxTokens)
		}
		names[name] = true
		all = append(all, secret)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("token file %s holds no token: want lines of a name, a space and a token", path)
	}
	return all, nil
}
