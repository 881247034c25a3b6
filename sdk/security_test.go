package sdk_test

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// A token is not sent where others could read it, unless somebody says so.
func TestATokenIsNotSentInClear(t *testing.T) {
	secure := sdk.WithTLS(&tls.Config{MinVersion: tls.VersionTLS13})
	for name, test := range map[string]struct {
		address string
		options []sdk.Option
		fault   string
	}{
		"loopback":            {"127.0.0.1:1", []sdk.Option{sdk.WithToken("secret")}, ""},
		"loopback, IPv6":      {"[::1]:1", []sdk.Option{sdk.WithToken("secret")}, ""},
		"localhost":           {"localhost:1", []sdk.Option{sdk.WithToken("secret")}, ""},
		"elsewhere":           {"10.0.0.1:1", []sdk.Option{sdk.WithToken("secret")}, "without TLS"},
		"a name":              {"localhost.example:1", []sdk.Option{sdk.WithToken("secret")}, "without TLS"},
		"with TLS":            {"10.0.0.1:1", []sdk.Option{sdk.WithToken("secret"), secure}, ""},
		"if somebody says so": {"10.0.0.1:1", []sdk.Option{sdk.WithToken("secret"), sdk.WithTokenInClear()}, ""},
		"an empty token":      {"127.0.0.1:1", []sdk.Option{sdk.WithToken("")}, "the token is empty"},
		"a line end in it":    {"127.0.0.1:1", []sdk.Option{sdk.WithToken("secret\n")}, "printable ASCII"},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := sdk.Dial(test.address, test.options...)
			if test.fault == "" {
				require.NoError(t, err)
				require.NoError(t, client.Close())
				return
			}
			require.ErrorIs(t, err, talos.InvalidConfig)
			require.ErrorContains(t, err, test.fault)
			require.NotContains(t, err.Error(), "secret")
		})
	}
}
