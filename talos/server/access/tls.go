package access

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
)

// Files say where a node's TLS comes from; all are PEM.
type Files struct {
	// Certificate and Key are the node's own; both are needed.
	Certificate, Key string
	// ClientCA is whose client certificates are good; empty for none.
	ClientCA string
}

// TLS returns the configuration of a node's ports: TLS 1.3 and 1.2. A client
// certificate that is given must be of ClientCA and in force; that one is given,
// or a token, is Guard's concern.
func TLS(files Files, logger *slog.Logger) (*tls.Config, error) {
	paths := []string{files.Certificate, files.Key}
	if files.ClientCA != "" {
		paths = append(paths, files.ClientCA)
	}
	current, err := newWatched(logger, func() (*tls.Config, error) { return load(files) }, paths...)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return current.get(), nil },
	}, nil
}

func load(files Files) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", files.Certificate, files.Key, err)
	}
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
		NextProtos: []string{"h2", "http/1.1"},
		// A session that is resumed would keep a certificate in force that the files
		// no longer hold.
		SessionTicketsDisabled: true,
	}
	if files.ClientCA != "" {
		if cfg.ClientCAs, err = Pool(files.ClientCA); err != nil {
			return nil, err
		}
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return cfg, nil
}

// Pool reads the certificates of authorities from a PEM file.
func Pool(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return pool, nil
}
