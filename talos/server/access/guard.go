package access

import (
	"crypto/tls"
	"log/slog"
	"strings"
	"time"

	"github.com/talos-log/talos/talos"
)

// Header is the header, of HTTP and of gRPC, in which a token travels, as
// "Bearer <token>".
const Header = "authorization"

const scheme = "bearer "

// Guard lets clients in by a token or by a verified certificate. The nil Guard
// lets everybody in.
type Guard struct {
	tokens       *watched[tokens]
	certificates bool
}

// NewGuard makes a guard. tokenFile may be empty: no tokens then. certificates
// says that a client certificate, which TLS verifies, lets in.
func NewGuard(tokenFile string, certificates bool, logger *slog.Logger) (*Guard, error) {
	g := &Guard{certificates: certificates}
	if tokenFile == "" {
		return g, nil
	}
	var err error
	g.tokens, err = newWatched(logger, func() (tokens, error) { return readTokens(tokenFile) }, tokenFile)
	if err != nil {
		return nil, err
	}
	return g, nil
}

// Check returns Unauthenticated unless the caller may come in. state is nil
// without TLS; headers are the values of Header.
func (g *Guard) Check(state *tls.ConnectionState, headers []string) error {
	if g == nil {
		return nil
	}
	if g.certificates && state != nil && len(state.VerifiedChains) > 0 {
		// The handshake may be long ago.
		if time.Now().After(state.VerifiedChains[0][0].NotAfter) {
			return refusal("the client's certificate has expired")
		}
		return nil
	}
	if g.tokens == nil {
		return refusal("the client gave no certificate")
	}
	switch secret, given := bearer(headers); {
	case !given && g.certificates:
		return refusal("the client gave neither a token nor a certificate")
	case !given:
		return refusal("the client gave no token")
	default:
		if !g.tokens.get().know(secret) {
			return refusal("the client's token is not known here")
		}
		return nil
	}
}

// bearer takes the token out of the headers; no token if there are several.
func bearer(headers []string) (secret string, given bool) {
	if len(headers) != 1 || len(headers[0]) <= len(scheme) || !strings.EqualFold(headers[0][:len(scheme)], scheme) {
		return "", false
	}
	return headers[0][len(scheme):], true
}

func refusal(detail string) error {
	return &talos.Error{Kind: talos.Unauthenticated, Op: "access.Check", Detail: detail}
}
