package s3_test

import (
	"net/http"
	"net/url"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/s3"
	"github.com/talos-log/talos/storage/storagetest"
	"github.com/talos-log/talos/test/minio"
)

func TestMain(m *testing.M) {
	code := minio.Main(m)
	if err := released.Remove(); err != nil {
		println(err.Error())
		code = 1
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

// open opens a store until the test ends.
func open(t *testing.T, u *url.URL, wrap func(http.RoundTripper) http.RoundTripper) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), u, s3.Options{Wrap: wrap})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, minio.ForTest(t), nil) })
}
