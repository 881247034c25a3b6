package config

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/talos-log/talos/coordinator/etcd"
	"github.com/talos-log/talos/talos/server/access"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

var discard = slog.New(slog.DiscardHandler)

// ServerTLS returns the TLS of the node's ports; nil for none.
func (c *Config) ServerTLS(logger *slog.Logger) (*tls.Config, error) {
	if !c.secured() {
		return nil, nil
	}
	return c.serverTLS(logger)
}

func (c *Config) serverTLS(logger *slog.Logger) (*tls.Config, error) {
	return access.TLS(access.Files{Certificate: c.TLS.Certificate, Key: c.TLS.Key, ClientCA: c.TLS.ClientCA}, logger)
}

// Peers returns how this node calls the other nodes of its cluster, which are
// secured as it is.
func (c *Config) Peers() ([]grpc.DialOption, error) {
	options := []grpc.DialOption{grpc.WithNoProxy()}
	if c.Access.TokenFile != "" {
		options = append(options, grpc.WithPerRPCCredentials(access.PeerToken{File: c.Access.TokenFile, Secure: c.secured()}))
	}
	if !c.secured() {
		return append(options, grpc.WithTransportCredentials(insecure.NewCredentials())), nil
	}
	secure, err := access.PeerTLS(access.Files{Certificate: c.TLS.Certificate, Key: c.TLS.Key}, c.TLS.PeerCA)
	if err != nil {
		return nil, err
	}
	return append(options, grpc.WithTransportCredentials(credentials.NewTLS(secure))), nil
}

// Guard returns who lets clients in; nil, which lets everybody in, if no access
// control is configured.
func (c *Config) Guard(logger *slog.Logger) (*access.Guard, error) {
	if !c.guarded() {
		return nil, nil
	}
	return c.guard(logger)
}

func (c *Config) guard(logger *slog.Logger) (*access.Guard, error) {
	return access.NewGuard(c.Access.TokenFile, c.TLS.ClientCA != "", logger)
}

// Client returns how to reach etcd.
func (e Etcd) Client() (etcd.Config, error) {
	password, err := e.password()
	if err != nil {
		return etcd.Config{}, err
	}
	secure, err := e.tls()
	return etcd.Config{
		Endpoints: e.Endpoints, Prefix: e.Prefix, DialTimeout: e.DialTimeout, SessionTTL: e.SessionTTL,
		User: e.User, Password: password, TLS: secure,
	}, err
}

func (e Etcd) password() (string, error) {
	if e.PasswordFile == "" {
		return e.Password, nil
	}
	if err := access.CheckSecretFile(e.PasswordFile); err != nil {
		return "", err
	}
	text, err := os.ReadFile(e.PasswordFile)
	if err != nil {
		return "", err
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" {
		return "", fmt.Errorf("%s is empty", e.PasswordFile)
	}
	return password, nil
}

func (e Etcd) tls() (*tls.Config, error) {
	if e.TLS.CA == "" {
		return nil, nil
	}
	pool, err := access.Pool(e.TLS.CA)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	if e.TLS.Certificate == "" || e.TLS.Key == "" {
		return cfg, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(e.TLS.Certificate, e.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", e.TLS.Certificate, e.TLS.Key, err)
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	// Read at each handshake, of which there are few: it may have changed.
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return cfg, nil
}
