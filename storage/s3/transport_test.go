package s3

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"
)

// dropper is a server that answers the first request of each connection, and
// closes the connection when it has the second one as a whole.
type dropper struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu   sync.Mutex // guards the fields below
	seen []string   // method and path of each request
}

func newDropper(t *testing.T) *dropper {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &dropper{listener: listener}
	d.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			d.serving.Go(func() { d.serve(conn) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		d.serving.Wait()
	})
	return d
}

func (d *dropper) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }() // the client may have closed it
	requests := bufio.NewReader(conn)
	for n := range 2 {
		r, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		d.mu.Lock()
		d.seen = append(d.seen, r.Method+" "+r.URL.Path)
		d.mu.Unlock()
		if _, err := io.Copy(io.Discard, r.Body); err != nil || n == 1 {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}

// After the first PUT the connection is in the pool. The second one goes out on
// it, is read by the server as a whole, and gets no answer: that is where net/http
// sends requests again which it believes to be repeatable.
func TestAPutIsSentOnceThoughItsConnectionDies(t *testing.T) {
	for what, content := range map[string]string{"a chunk": "chunk", "a seal": ""} {
		t.Run(what, func(t *testing.T) {
			d := newDropper(t)
			c := config{bucket: "bucket", region: "r", endpoint: &url.URL{Scheme: "http", Host: d.listener.Addr().String()}}
			b, err := newBucket(c, credentials.NewStaticV4("key", "secret", ""), nil)
			require.NoError(t, err)
			defer b.close()
			require.NoError(t, b.create(t.Context(), "first", []byte(content)))
			require.Error(t, b.create(t.Context(), "second", []byte(content)))
			d.mu.Lock()
			defer d.mu.Unlock()
			require.Equal(t, []string{"PUT /bucket/first", "PUT /bucket/second"}, d.seen)
		})
	}
}

func TestAPutThatFailedDoesNotTouchItsBufferAnymore(t *testing.T) {
	b := &body{rest: []byte("content")}
	p := make([]byte, 3)
	n, err := b.Read(p)
	require.NoError(t, err)
	require.Equal(t, "con", string(p[:n]))
	b.detach()
	n, err = b.Read(p)
	require.ErrorIs(t, err, errDetached)
	require.Zero(t, n)
}

func TestOnceTakesTheWayToRepeatAPutAway(t *testing.T) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPut, "http://a/b", nil)
	require.NoError(t, err)
	r.GetBody = func() (io.ReadCloser, error) { return http.NoBody, nil }
	seen := &recorder{}
	_, err = once{seen}.RoundTrip(r)
	require.NoError(t, err)
	require.Nil(t, seen.request.GetBody)
	require.NotNil(t, r.GetBody, "the caller's request is not changed")
}

type recorder struct{ request *http.Request }

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.request = request
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

// A server that begins an answer and says no more ends the request, however patient
// its caller is.
func TestAServerThatFallsSilentEndsARequest(t *testing.T) {
	here, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	gone := make(chan struct{})
	serving.Go(func() {
		conn, err := here.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }() // the client may have closed it
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
		<-gone
	})
	defer serving.Wait()
	defer close(gone)
	defer func() { require.NoError(t, here.Close()) }()

	transport := newTransport(1)
	transport.DialContext = dialImpatiently(10 * time.Millisecond)
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+here.Addr().String(), http.NoBody)
	require.NoError(t, err)
	response, err := transport.RoundTrip(request)
	if err == nil { // the header came in time
		_, err = io.ReadAll(response.Body)
		require.NoError(t, response.Body.Close())
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}
