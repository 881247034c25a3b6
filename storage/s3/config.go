package s3

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/talos-log/talos/talos"
)

const (
	defaultEndpoint = "https://s3.amazonaws.com"
	defaultRegion   = "us-east-1"

	defaultCommitInterval = 100 * time.Millisecond
	maxCommitInterval     = 10 * time.Second

	// maxPrefixBytes leaves room for ids in a key, which has 1,024 bytes at most.
	maxPrefixBytes = 256
)

// Options are what a Store may be told beside its URL.
type Options struct {
	Logger *slog.Logger
	// ReadOnly opens a store for looking: nothing is probed or changed at the start.
	ReadOnly bool
	// Wrap, if not nil, is put around what sends the requests. Tests inject
	// failures there.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// config is everything that is settled before the first request.
type config struct {
	keys
	url            string // for messages
	bucket         string
	endpoint       *url.URL
	region         string
	lookup         minio.BucketLookupType
	commitInterval time.Duration
}

// configOf reads s3://bucket/prefix with the settings endpoint, region,
// path-style and commit-interval. lookup reads the environment.
func configOf(u *url.URL, lookup func(string) string) (config, error) {
	c := config{url: u.Redacted(), bucket: u.Host, commitInterval: defaultCommitInterval}
	if err := c.read(u, lookup); err != nil {
		return c, &talos.Error{Kind: talos.InvalidConfig, Op: "s3.Open", Subject: c.url, Detail: err.Error()}
	}
	return c, nil
}

func (c *config) read(u *url.URL, lookup func(string) string) error {
	switch {
	case u.Scheme != "s3":
		return errors.New("an S3 store is written s3://bucket/prefix?endpoint=http://host:port")
	case u.User != nil:
		return errors.New("credentials don't belong in the URL, where others can see them: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	if err := s3utils.CheckValidBucketNameStrict(u.Host); err != nil {
		return fmt.Errorf("the bucket's name %q can't be used: %w", u.Host, err)
	}
	if prefix := strings.Trim(u.Path, "/"); prefix != "" {
		c.prefix = prefix + "/"
	}
	if err := checkPrefix(c.prefix); err != nil {
		return err
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return err
	}
	endpoint := first(lookup("AWS_ENDPOINT_URL_S3"), lookup("AWS_ENDPOINT_URL"), defaultEndpoint)
	c.region = first(lookup("AWS_REGION"), lookup("AWS_DEFAULT_REGION"), defaultRegion)
	for name, values := range query {
		value := values[len(values)-1]
		var err error
		switch name {
		case "endpoint":
			endpoint = value
		case "region":
			c.region = value
		case "path-style":
			c.lookup, err = lookupType(value)
		case "commit-interval":
			c.commitInterval, err = interval(value)
		default:
			return fmt.Errorf("there is no setting %q: it takes endpoint, region, path-style and commit-interval", name)
		}
		if err != nil {
			return fmt.Errorf("%s=%s: %w", name, value, err)
		}
	}
	c.endpoint, err = parseEndpoint(endpoint)
	return err
}

func checkPrefix(prefix string) error {
	if len(prefix) > maxPrefixBytes {
		return fmt.Errorf("the prefix has %d bytes, the limit is %d", len(prefix), maxPrefixBytes)
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(prefix, "/"), "/") {
		if prefix != "" && (part == "" || part == "." || part == "..") {
			return fmt.Errorf("the prefix %q has a part that is empty or only dots", prefix)
		}
	}
	return nil
}

// lookupType says whether requests name the bucket in their path or in the host's
// name. Without that setting it is the path, but for Amazon's own servers.
func lookupType(s string) (minio.BucketLookupType, error) {
	path, err := strconv.ParseBool(s)
	if err != nil {
		return 0, errors.New("it takes true or false")
	}
	if path {
		return minio.BucketLookupPath, nil
	}
	return minio.BucketLookupDNS, nil
}

func interval(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > maxCommitInterval {
		return 0, fmt.Errorf("it takes a time like 100ms, from 0 to %v", maxCommitInterval)
	}
	return d, nil
}

func parseEndpoint(s string) (*url.URL, error) {
	if strings.Contains(s, "@") {
		return nil, errors.New("the endpoint can't be used: credentials don't belong in it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	e, err := url.Parse(s)
	if err != nil || (e.Scheme != "http" && e.Scheme != "https") || e.Host == "" || e.User != nil || strings.Trim(e.Path, "/") != "" || e.RawQuery != "" {
		return nil, fmt.Errorf("the endpoint %q can't be used: it is written http://host:port or https://host:port", s)
	}
	return e, nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
