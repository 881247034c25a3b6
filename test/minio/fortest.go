package minio

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shared is the server of a package's tests, between the beginning and the end
// of Main.
var shared *Server

// Tests are a package's tests: a *testing.M, or what has one within.
type Tests interface{ Run() int }

// Main runs a package's tests with a server that they share, and returns the exit
// code. It sets the credentials in the environment.
func Main(m Tests) int {
	s, err := New("")
	if err == nil {
		defer remove(s)
		err = s.Start(context.Background())
	}
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": SecretKey} {
		if err == nil {
			err = os.Setenv(name, value)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared = s
	return m.Run()
}

func remove(s *Server) {
	if err := s.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// ForTest returns the URL of an empty store, in a bucket of the test's own on the
// server that the package shares.
func ForTest(t testing.TB) *url.URL {
	t.Helper()
	s := Shared(t)
	bucket := "test-" + strings.ToLower(rand.Text())
	require.NoError(t, s.MakeBucket(t.Context(), bucket))
	return s.StoreURL(bucket, "some/prefix")
}

// Shared returns the server that the package shares.
func Shared(t testing.TB) *Server {
	t.Helper()
	require.NotNil(t, shared, "the package's TestMain does not call minio.Main")
	return shared
}

// Own returns a server of the test's own, which runs; it goes with the test.
func Own(t testing.TB) *Server {
	t.Helper()
	s, err := New("")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Remove()) })
	require.NoError(t, s.Start(t.Context()))
	return s
}
