package cli

import (
	"crypto/tls"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server/access"
)

// The variables that stand for the flags.
const (
	tokenEnv     = "TALOS_TOKEN"
	tokenFileEnv = "TALOS_TOKEN_FILE"
	caEnv        = "TALOS_TLS_CA"
	certEnv      = "TALOS_TLS_CERT"
	keyEnv       = "TALOS_TLS_KEY"
)

// secureFlags say how client commands make sure of the node, and who they are.
type secureFlags struct {
	tls, tokenInClear        bool
	ca, cert, key, tokenFile string
}

func (f *secureFlags) add(flags *pflag.FlagSet) {
	f.addTLS(flags)
	flags.StringVar(&f.tokenFile, "token-file", "", "`FILE` of the client's token, mode 0600 (or "+tokenFileEnv+", or the token itself in "+tokenEnv+")")
	flags.BoolVar(&f.tokenInClear, "token-in-clear", false, "send the token also without TLS, on a network that you trust")
}

func (f *secureFlags) addTLS(flags *pflag.FlagSet) {
	flags.BoolVar(&f.tls, "tls", false, "use TLS, with the authorities that this system trusts")
	flags.StringVar(&f.ca, "tls-ca", "", "use TLS, with the authorities of a PEM `FILE` (or "+caEnv+")")
	flags.StringVar(&f.cert, "tls-cert", "", "PEM `FILE` of the client's certificate (or "+certEnv+")")
	flags.StringVar(&f.key, "tls-key", "", "PEM `FILE` of its private key (or "+keyEnv+")")
}

// options are the SDK's.
func (f *secureFlags) options() ([]sdk.Option, error) {
	var options []sdk.Option
	secure, err := f.config()
	if err != nil {
		return nil, unusable(err)
	}
	if secure != nil {
		options = append(options, sdk.WithTLS(secure))
	}
	token, err := f.token()
	if err != nil {
		return nil, unusable(err)
	}
	if token != "" {
		options = append(options, sdk.WithToken(token))
	}
	if f.tokenInClear {
		options = append(options, sdk.WithTokenInClear())
	}
	return options, nil
}

func unusable(err error) error {
	return &talos.Error{Kind: talos.InvalidConfig, Op: "cli.secure", Cause: err}
}

// config returns nil if there is to be no TLS.
func (f *secureFlags) config() (*tls.Config, error) {
	ca, cert, key := either(f.ca, caEnv), either(f.cert, certEnv), either(f.key, keyEnv)
	switch {
	case (cert == "") != (key == ""):
		return nil, fmt.Errorf("--tls-cert and --tls-key go together")
	case ca == "" && !f.tls && cert != "":
		return nil, fmt.Errorf("a client certificate needs TLS: give --tls-ca, or --tls")
	case ca == "" && !f.tls:
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pool, err := access.Pool(ca)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = pool
	}
	if cert == "" {
		return cfg, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", cert, key, err)
	}
	cfg.Certificates = []tls.Certificate{pair}
	return cfg, nil
}

// token returns "" if there is none. Its file holds the token, or a name and the
// token, as a node's file does.
func (f *secureFlags) token() (string, error) {
	path := f.tokenFile
	if path == "" {
		if token := os.Getenv(tokenEnv); token != "" {
			return token, nil
		}
		if path = os.Getenv(tokenFileEnv); path == "" {
			return "", nil
		}
	}
	if err := access.CheckSecretFile(path); err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	words := strings.Fields(string(text))
	if len(words) != 1 && len(words) != 2 {
		return "", fmt.Errorf("token file %s: want one line with a token, or with a name and a token", path)
	}
	return words[len(words)-1], nil
}

func either(flag, env string) string {
	if flag != "" {
		return flag
	}
	return os.Getenv(env)
}
