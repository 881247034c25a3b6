// Package certs makes certificates for tests: an authority, and what it signs, as
// PEM files in the test's folder. They are good for an hour, unless a test asks
// for others.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Authority signs certificates.
type Authority struct {
	t           testing.TB
	folder      string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	issued      int64
}

// Pair is a certificate and its key, as files.
type Pair struct{ Certificate, Key string }

// NewAuthority makes an authority of its own.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := template(1, "authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	a := &Authority{t: t, folder: t.TempDir(), certificate: certificate, key: key, issued: 1}
	a.write(a.File(), "CERTIFICATE", der)
	return a
}

// File is the authority's certificate.
func (a *Authority) File() string { return filepath.Join(a.folder, "ca.pem") }

// Pool holds the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// Option says what a certificate is for.
type Option func(*x509.Certificate)

// Server is for a node of these names or IP addresses.
func Server(hosts ...string) Option {
	return func(c *x509.Certificate) {
		c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		for _, host := range hosts {
			if ip := net.ParseIP(host); ip != nil {
				c.IPAddresses = append(c.IPAddresses, ip)
			} else {
				c.DNSNames = append(c.DNSNames, host)
			}
		}
	}
}

// Client is for a client of this name.
func Client(name string) Option {
	return func(c *x509.Certificate) {
		c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		c.Subject.CommonName = name
	}
}

// Expired was good until an hour ago.
func Expired() Option {
	return func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
}

// Issue signs a certificate, and writes it and its key to files.
func (a *Authority) Issue(options ...Option) Pair {
	a.t.Helper()
	a.issued++
	name := strconv.FormatInt(a.issued, 10)
	pair := Pair{filepath.Join(a.folder, name+".pem"), filepath.Join(a.folder, name+"-key.pem")}
	a.IssueTo(pair, options...)
	return pair
}

// IssueTo is Issue into these files.
func (a *Authority) IssueTo(pair Pair, options ...Option) {
	a.t.Helper()
	a.issued++
	template := template(a.issued, "someone")
	for _, option := range options {
		option(template)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	require.NoError(a.t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	a.write(pair.Certificate, "CERTIFICATE", der)
	a.write(pair.Key, "PRIVATE KEY", secret)
}

// Config is the TLS of a client that trusts the authority, with a certificate if
// there is one.
func (a *Authority) Config(pairs ...Pair) *tls.Config {
	a.t.Helper()
	cfg := &tls.Config{RootCAs: a.Pool(), MinVersion: tls.VersionTLS12}
	for _, p := range pairs {
		certificate, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
		require.NoError(a.t, err)
		cfg.Certificates = append(cfg.Certificates, certificate)
	}
	return cfg
}

func (a *Authority) write(path, kind string, der []byte) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func template(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
}
