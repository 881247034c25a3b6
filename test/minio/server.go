package minio

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	client "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/talos-log/talos/test/process"
)

const (
	// AccessKey is, with SecretKey, what every server takes.
	AccessKey = "talos-test"
	// SecretKey belongs to AccessKey.
	SecretKey = "talos-test-secret"

	readyTimeout  = 60 * time.Second
	readyInterval = 20 * time.Millisecond
	endTimeout    = 30 * time.Second
)

// Server is one server over one folder, at most one process at a time. Its
// methods must not be called concurrently.
type Server struct {
	// Address is host:port; it stays the same over restarts.
	Address string

	data  string
	words *os.File
	child *process.Child
}

// New makes a server that does not run yet, whose data is in a folder below this one,
// or below the system's temporary one. The caller must Remove it.
func New(in string) (*Server, error) {
	folder, err := os.MkdirTemp(in, "talos-minio-")
	if err != nil {
		return nil, err
	}
	s := &Server{data: folder}
	if s.Address, err = process.FreeAddress(); err == nil {
		s.words, err = os.Create(filepath.Join(folder, "words.log"))
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return s, nil
}

// Endpoint is the server's URL.
func (s *Server) Endpoint() string { return "http://" + s.Address }

// Start runs a process, and waits until it serves.
func (s *Server) Start(ctx context.Context) error {
	binary, err := process.Tool("minio")
	if err != nil {
		return err
	}
	cmd := exec.Command(binary, "server", "--quiet", "--address", s.Address, filepath.Join(s.data, "data"))
	cmd.Env = append(os.Environ(),
		"MINIO_ROOT_USER="+AccessKey, "MINIO_ROOT_PASSWORD="+SecretKey,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CALLHOME_ENABLE=off", "HOME="+s.data)
	cmd.Stdout, cmd.Stderr = s.words, s.words
	if s.child, err = process.Launch(cmd); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return s.awaitReady(ctx)
}

func (s *Server) awaitReady(ctx context.Context) error {
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	asking := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	for {
		if err := ask(ctx, asking, s.Endpoint()+"/minio/health/cluster"); err == nil {
			return nil
		}
		select {
		case <-s.child.Ended():
			return fmt.Errorf("minio ended while it started: %w\n%s", s.child.Err(), s.Words())
		case <-ctx.Done():
			return fmt.Errorf("minio does not serve: %w\n%s", context.Cause(ctx), s.Words())
		case <-ticker.C:
		}
	}
}

func ask(ctx context.Context, asking *http.Client, page string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, http.NoBody)
	if err != nil {
		return err
	}
	response, err := asking.Do(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// Kill ends the process with SIGKILL, and waits until it is gone.
func (s *Server) Kill() error {
	if s.child == nil {
		return nil
	}
	if err := s.child.End(syscall.SIGKILL, endTimeout); err != nil {
		return err
	}
	s.child = nil
	return nil
}

// Stop makes the process stand still: it keeps its connections and answers
// nothing.
func (s *Server) Stop() error { return s.child.Pause() }

// Continue makes a stopped process go on.
func (s *Server) Continue() error { return s.child.Resume() }

// Remove ends the process and removes its data.
func (s *Server) Remove() error {
	return errors.Join(s.Kill(), s.words.Close(), os.RemoveAll(s.data))
}

// Words is what the server wrote.
func (s *Server) Words() string {
	text, err := os.ReadFile(s.words.Name())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Client returns a client of the server, to look at what lies there and to damage
// it.
func (s *Server) Client() (*client.Client, error) {
	return client.New(s.Address, &client.Options{
		Creds:     credentials.NewStaticV4(AccessKey, SecretKey, ""),
		Transport: &http.Transport{DisableKeepAlives: true},
	})
}

// MakeBucket makes a bucket.
func (s *Server) MakeBucket(ctx context.Context, name string) error {
	c, err := s.Client()
	if err != nil {
		return err
	}
	return c.MakeBucket(ctx, name, client.MakeBucketOptions{})
}

// StoreURL is what --store takes for a prefix of a bucket. Appends are not
// gathered.
func (s *Server) StoreURL(bucket, prefix string) *url.URL {
	return StoreURL(s.Address, bucket, prefix)
}

// StoreURL is that of a server that is reached at another address than its own.
func StoreURL(address, bucket, prefix string) *url.URL {
	return &url.URL{
		Scheme: "s3", Host: bucket, Path: "/" + prefix,
		RawQuery: url.Values{"endpoint": {"http://" + address}, "commit-interval": {"0"}}.Encode(),
	}
}
