package s3

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/talos"
)

func parse(t *testing.T, text string, environment map[string]string) (config, error) {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	return configOf(u, func(name string) string { return environment[name] })
}

func TestConfig(t *testing.T) {
	c, err := parse(t, "s3://bucket/a/b?endpoint=http://127.0.0.1:9000&region=r1&path-style=true&commit-interval=250ms", nil)
	require.NoError(t, err)
	require.Equal(t, "bucket", c.bucket)
	require.Equal(t, "a/b/", c.prefix)
	require.Equal(t, "http://127.0.0.1:9000", c.endpoint.String())
	require.Equal(t, "r1", c.region)
	require.Equal(t, minio.BucketLookupPath, c.lookup)
	require.Equal(t, 250*time.Millisecond, c.commitInterval)
}

func TestConfigDefaults(t *testing.T) {
	c, err := parse(t, "s3://bucket", nil)
	require.NoError(t, err)
	require.Empty(t, c.prefix)
	require.Equal(t, minio.BucketLookupAuto, c.lookup)
	require.Equal(t, "https://s3.amazonaws.com", c.endpoint.String())
	require.Equal(t, "us-east-1", c.region)
	require.Equal(t, 100*time.Millisecond, c.commitInterval)

	c, err = parse(t, "s3://bucket/?commit-interval=0&path-style=false", map[string]string{"AWS_ENDPOINT_URL": "https://s3.example", "AWS_REGION": "r2"})
	require.NoError(t, err)
	require.Equal(t, "https://s3.example", c.endpoint.String())
	require.Equal(t, "r2", c.region)
	require.Equal(t, minio.BucketLookupDNS, c.lookup)
	require.Zero(t, c.commitInterval)
}

func TestConfigThatCantBeUsed(t *testing.T) {
	for text, says := range map[string]string{
		"http://bucket/a":                         "an S3 store is written s3://bucket/prefix",
		"s3://key:secret@bucket/a":                "credentials don't belong in the URL",
		"s3:///a":                                 "the bucket's name",
		"s3://Under_Score/a":                      "the bucket's name",
		"s3://bucket/a//b":                        "the prefix",
		"s3://bucket/a/../b":                      "the prefix",
		"s3://bucket/" + strings.Repeat("a", 300): "the limit is 256",
		"s3://bucket?endpoint=127.0.0.1:9000":     "the endpoint",
		"s3://bucket?endpoint=ftp://a":            "the endpoint",
		"s3://bucket?endpoint=http://k:s@a":       "the endpoint",
		"s3://bucket?endpoint=http://a/b":         "the endpoint",
		"s3://bucket?path-style=perhaps":          "path-style=perhaps: it takes true or false",
		"s3://bucket?commit-interval=fast":        "commit-interval=fast: it takes a time like 100ms, from 0 to 10s",
		"s3://bucket?commit-interval=11s":         "from 0 to 10s",
		"s3://bucket?commit-interval=-1s":         "from 0 to 10s",
		"s3://bucket?retries=3":                   `there is no setting "retries"`,
	} {
		_, err := parse(t, text, nil)
		require.ErrorIs(t, err, talos.InvalidConfig, text)
		require.ErrorContains(t, err, says, text)
		require.NotContains(t, err.Error(), "secret")
	}
}
