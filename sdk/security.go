package sdk

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// security is how a client makes sure of the node, and says who it is.
type security struct {
	tls      *tls.Config
	token    string
	inClear  bool
	tokenSet bool
}

// WithTLS connects with TLS. cfg says whom to trust (RootCAs; nil means the
// system's authorities), and holds a client certificate if nodes ask for one. It
// must not be changed afterwards.
func WithTLS(cfg *tls.Config) Option { return func(c *clientConfig) { c.security.tls = cfg } }

// WithToken sends a bearer token with every call. Without TLS it is sent on
// loopback only: Dial returns InvalidConfig otherwise, see WithTokenInClear.
func WithToken(token string) Option {
	return func(c *clientConfig) { c.security.token, c.security.tokenSet = token, true }
}

// WithTokenInClear lets the token of WithToken go without TLS, so that everybody
// on the way can read it, and use it.
func WithTokenInClear() Option { return func(c *clientConfig) { c.security.inClear = true } }

// check returns InvalidConfig if the node's address and the options don't go
// together.
func (s *security) check(address string) error {
	switch {
	case s.tokenSet && (s.token == "" || strings.ContainsFunc(s.token, func(r rune) bool { return r <= ' ' || r > '~' })):
		return &talos.Error{Kind: talos.InvalidConfig, Op: "sdk.Dial", Detail: "the token is empty, or has characters other than printable ASCII"}
	case s.tokenSet && s.tls == nil && !s.inClear && !isLoopback(address):
		return &talos.Error{Kind: talos.InvalidConfig, Op: "sdk.Dial", Subject: address, Detail: errInClear}
	default:
		return nil
	}
}

const errInClear = "a token would be sent without TLS: use TLS (sdk.WithTLS, --tls-ca), or, on a network that you trust, sdk.WithTokenInClear (--token-in-clear)"

// options are gRPC's.
func (s *security) options() []grpc.DialOption {
	transport := insecure.NewCredentials()
	if s.tls != nil {
		transport = credentials.NewTLS(s.tls)
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(transport)}
	if s.tokenSet {
		options = append(options, grpc.WithPerRPCCredentials(bearer{*s}))
	}
	return options
}

// bearer is the token as gRPC takes it. Whether it may go to an address was
// checked before there was a connection.
type bearer struct{ security }

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (b bearer) RequireTransportSecurity() bool { return b.tls != nil }

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// unreachable tells whether there is no connection to a node.
func unreachable(kind talos.Kind) bool { return kind == talos.Unavailable || kind == talos.Untrusted }

// brokenConnection tells by gRPC's words whether it was TLS that failed, and on
// whose side: there is nothing else to tell it by.
func brokenConnection(op, subject, words string) error {
	e := &talos.Error{Kind: talos.Unavailable, Op: op, Subject: subject, Cause: errors.New(words)}
	switch {
	case strings.Contains(words, "remote error: tls:") && strings.Contains(words, "certificate"):
		e.Kind, e.Detail = talos.Unauthenticated, "it does not take the client's certificate"
	case strings.Contains(words, "tls: first record does not look like a TLS handshake"):
		e.Kind, e.Detail = talos.Untrusted, "the node speaks no TLS"
	case strings.Contains(words, "x509: "), strings.Contains(words, "tls: "), strings.Contains(words, "authentication handshake failed"):
		e.Kind = talos.Untrusted
	case strings.Contains(words, "error reading server preface"):
		e.Detail = "it hung up before it spoke; it may want TLS"
	}
	return e
}
