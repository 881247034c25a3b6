package s3_test

import (
	"flag"
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

// sideBySide is how many tests run at the same time, of those that mostly wait: for
// the server's disk, or its return.
const sideBySide = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		println(err.Error())
		os.Exit(1)
	}
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
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Store {
		t.Helper()
		t.Parallel()
		return open(t, minio.ForTest(t), nil)
	})
}
