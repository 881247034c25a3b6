package s3

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/talos"
)

// openAt opens a store at a server that is none, and returns the error.
func openAt(t *testing.T, endpoint string) error {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	s, err := Open(t.Context(), storeURL(endpoint), Options{})
	if err == nil {
		require.NoError(t, s.Close())
	}
	return err
}

func storeURL(endpoint string) *url.URL {
	return &url.URL{Scheme: "s3", Host: "bucket", Path: "/p", RawQuery: url.Values{"endpoint": {endpoint}}.Encode()}
}

func TestOpenSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		kind   talos.Kind
		says   string
	}{
		{http.StatusNotFound, "NoSuchBucket", talos.InvalidConfig, `there is no bucket "bucket"`},
		{http.StatusForbidden, "InvalidAccessKeyId", talos.InvalidConfig, "check AWS_ACCESS_KEY_ID"},
		{http.StatusForbidden, "SignatureDoesNotMatch", talos.InvalidConfig, "check AWS_ACCESS_KEY_ID"},
		{http.StatusForbidden, "AccessDenied", talos.InvalidConfig, "s3:ListBucket"},
		{http.StatusBadRequest, "AuthorizationHeaderMalformed", talos.InvalidConfig, "set region"},
		{http.StatusForbidden, "RequestTimeTooSkewed", talos.InvalidConfig, "clock"},
		{http.StatusNotImplemented, "NotImplemented", talos.InvalidConfig, "honours If-None-Match"},
		{http.StatusServiceUnavailable, "SlowDown", talos.StoreUnavailable, "slower"},
	} {
		t.Run(c.code, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>ask slower</Message></Error>", c.code)
			}))
			defer server.Close()
			err := openAt(t, server.URL)
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "s3://bucket/p")
		})
	}
}

func TestOpenWhereNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	err = openAt(t, "http://"+listener.Addr().String())
	require.ErrorIs(t, err, talos.StoreUnavailable)
	require.ErrorContains(t, err, listener.Addr().String()+" does not answer: check that the server runs")
}

func TestOpenOfAServerThatIgnoresTheCondition(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = fmt.Fprint(w, "<ListBucketResult></ListBucketResult>")
		}
	}))
	defer server.Close()
	err := openAt(t, server.URL)
	require.ErrorIs(t, err, talos.InvalidConfig)
	require.ErrorContains(t, err, "can't keep segments safe: it put one object 4 times under If-None-Match: *")
}

func TestOpenWithoutCredentials(t *testing.T) {
	home := t.TempDir()
	for name, value := range map[string]string{
		"HOME": home, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ACCESS_KEY": "", "AWS_SECRET_KEY": "", "AWS_PROFILE": "",
		"AWS_SHARED_CREDENTIALS_FILE": filepath.Join(home, "none"), "AWS_CONFIG_FILE": filepath.Join(home, "none"),
		// Where a container's role would be asked for, so that no cloud is.
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	_, err := Open(context.Background(), storeURL("http://127.0.0.1:1"), Options{})
	require.ErrorIs(t, err, talos.InvalidConfig)
	require.ErrorContains(t, err, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
}
