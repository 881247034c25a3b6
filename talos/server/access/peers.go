package access

import (
	"context"
	"crypto/tls"
	"fmt"
)

// PeerTLS returns the configuration of a node's connections to the other nodes: their
// certificates must be of peerCA, or of the system's authorities if that is empty. A
// node that asks for a certificate is shown the own one of files.
func PeerTLS(files Files, peerCA string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if peerCA != "" {
		pool, err := Pool(peerCA)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = pool
	}
	// Read at each handshake, of which there are few: it may have changed.
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", files.Certificate, files.Key, err)
		}
		return &pair, nil
	}
	return cfg, nil
}

// PeerToken shows the other nodes the first token of a file, which is read for each of
// the few calls. It implements credentials.PerRPCCredentials.
type PeerToken struct {
	File string
	// Secure says that the token must not travel without TLS.
	Secure bool
}

// GetRequestMetadata returns the header.
func (p PeerToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	secrets, err := readSecrets(p.File)
	if err != nil {
		return nil, err
	}
	return map[string]string{Header: "Bearer " + secrets[0]}, nil
}

// RequireTransportSecurity tells whether TLS is needed.
func (p PeerToken) RequireTransportSecurity() bool { return p.Secure }
