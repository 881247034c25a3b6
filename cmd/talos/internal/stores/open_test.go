package stores_test

import (
	"net/url"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/cmd/talos/internal/stores"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

func TestAPathAndAURLNameTheSameFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a folder")
	id := storage.ID{Folder: "topic", Name: "segment"}
	for i, location := range []string{path, (&url.URL{Scheme: "file", Path: path}).String()} {
		s, err := stores.Open(t.Context(), location, stores.Options{})
		require.NoError(t, err)
		if i == 0 {
			a, err := s.Create(t.Context(), id, []byte("head"), talos.Sync)
			require.NoError(t, err)
			require.NoError(t, a.Seal(t.Context()))
		}
		listing, err := s.List(t.Context(), id.Folder)
		require.NoError(t, err)
		require.Len(t, listing.Segments, 1)
		require.NoError(t, s.Close())
	}
}

func TestMemoryIsNewEachTime(t *testing.T) {
	s, err := stores.Open(t.Context(), "mem:", stores.Options{})
	require.NoError(t, err)
	listing, err := s.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, listing)
	require.NoError(t, s.Close())
}

func TestWhatIsNoStoreIsRefusedWithWhatOpenTakes(t *testing.T) {
	for location, says := range map[string]string{
		"file://srv/talos":   "three slashes",
		"file:///srv?x=1":    "three slashes",
		"mem:/x":             "nothing else",
		"ftp://host/x":       `there is no store "ftp"`,
		"hdfs\x00":           "can't be read as a URL",
		"C:\\talos\\segment": `there is no store "c"`,
	} {
		_, err := stores.Open(t.Context(), location, stores.Options{})
		require.ErrorIs(t, err, talos.InvalidConfig, location)
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, stores.Forms)
		require.Equal(t, err, stores.Check(location), "it can be told without opening")
	}
}

func TestWhatIsAStoreIsCheckedWithoutOpeningIt(t *testing.T) {
	for _, location := range []string{"mem:", "/no/such", "file:///no/such", "hdfs://a@no.such:1/x", "s3://bucket/prefix?endpoint=http://no.such:1"} {
		require.NoError(t, stores.Check(location), location)
	}
}

// Whatever is wrong with a URL, its secrets are not told.
func TestErrorsShowNoSecret(t *testing.T) {
	for _, location := range []string{
		"s3://alice:sesame@bucket/p", "s3://alice:ses/ame@bucket/p", "s3://alice:12/sesame@bucket", "s3://bucket/p?endpoint=http://alice:sesame@e:1",
		"s3://bucket/p?endpoint=http%3A%2F%2Falice%3Asesame%40e", "ftp://alice:sesame@host/x", "ftp://host/x?secret_key=sesame", "ftp://alice:ses%zzame@host",
		"file://alice:sesame@/srv", "hdfs://alice:ses ame@host/x",
	} {
		_, err := stores.Open(t.Context(), location, stores.Options{})
		require.ErrorIs(t, err, talos.InvalidConfig, location)
		for _, part := range []string{"sesame", "ses/", "ses%", "ses ", ":ses", "ame@"} {
			require.NotContains(t, err.Error(), part, location)
		}
	}
	require.Equal(t, "hdfs://"+stores.Masked, stores.Mask("hdfs://alice:ses/ame@host"))
	require.Equal(t, "hdfs://alice@host:1/x", stores.Mask("hdfs://alice@host:1/x"))
	require.Equal(t, "/srv/a@b", stores.Mask("/srv/a@b"))
}

func TestLookingMakesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nothing")
	_, err := stores.Open(t.Context(), path, stores.Options{Look: true})
	require.ErrorIs(t, err, talos.StoreUnavailable)
	require.NoDirExists(t, path)
}
