package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/s3"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/minio"
)

// patience is how long things may take that must happen.
const patience = 2 * time.Minute

var id = storage.ID{Folder: "topic/0", Name: "a"}

// writer is an appender with what it sent and what became of it. Its methods that
// append belong to one goroutine.
type writer struct {
	t        *testing.T
	appender storage.Appender

	mu      sync.Mutex // guards the fields below; the test's goroutine alone changes the first two
	sent    []byte
	ends    []int
	outcome []error
	changed chan struct{}
}

func create(t *testing.T, s *s3.Store, id storage.ID) *writer {
	t.Helper()
	head := []byte("head of " + id.Name + ";")
	a, err := s.Create(t.Context(), id, head, talos.Sync)
	require.NoError(t, err)
	t.Cleanup(a.Abandon)
	return &writer{t: t, appender: a, sent: head, changed: make(chan struct{}, 1)}
}

// append starts n appends.
func (w *writer) append(n int) {
	for range n {
		p := fmt.Appendf(nil, "append %d;", len(w.ends))
		w.mu.Lock()
		w.sent = append(w.sent, p...)
		w.ends = append(w.ends, len(w.sent))
		w.mu.Unlock()
		w.appender.Append(p, func(err error) {
			w.mu.Lock()
			w.outcome = append(w.outcome, err)
			w.mu.Unlock()
			select {
			case w.changed <- struct{}{}:
			default:
			}
		})
	}
}

// completed waits until so many appends have completed and returns what became
// of all that have.
func (w *writer) completed(n int) []error {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		outcome := w.outcome
		w.mu.Unlock()
		if len(outcome) >= n {
			return outcome
		}
		select {
		case <-w.changed:
		case <-deadline:
			require.FailNow(w.t, "appends never completed", "%d of %d", len(outcome), n)
		}
	}
}

func (w *writer) all() []error { w.t.Helper(); return w.completed(len(w.ends)) }

// acknowledged returns the length up to which appends are acknowledged now.
func (w *writer) acknowledged() int64 {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	length := len(w.sent)
	if len(w.ends) > 0 {
		length = w.ends[0] - len("append 0;")
	}
	for i, err := range w.outcome {
		if err != nil {
			for _, later := range w.outcome[i:] {
				require.Error(w.t, later, "an append was acknowledged after one had failed")
			}
			break
		}
		length = w.ends[i]
	}
	return int64(length)
}

// mustAppend appends and requires that all is acknowledged.
func (w *writer) mustAppend(n int) {
	w.t.Helper()
	before := len(w.ends)
	w.append(n)
	for _, err := range w.all()[before:] {
		require.NoError(w.t, err)
	}
}

// mustBeDead requires that nothing more is acknowledged.
func (w *writer) mustBeDead() {
	w.t.Helper()
	before := len(w.ends)
	w.append(3)
	for _, err := range w.all()[before:] {
		require.ErrorIs(w.t, err, storage.ErrDead)
	}
	require.ErrorIs(w.t, w.appender.Seal(w.t.Context()), storage.ErrDead)
}

// recoverAll recovers a segment and requires that all that was acknowledged until
// then, and nothing that was not sent, is in it.
func (w *writer) recoverAll(s *s3.Store) int64 {
	w.t.Helper()
	info, err := s.Recover(w.t.Context(), id)
	require.NoError(w.t, err)
	require.True(w.t, info.Sealed)
	w.requireContent(s, info.Size)
	return info.Size
}

func (w *writer) requireContent(s *s3.Store, size int64) {
	w.t.Helper()
	require.GreaterOrEqual(w.t, size, w.acknowledged(), "acknowledged bytes lie beyond the recovered length")
	require.LessOrEqual(w.t, size, int64(len(w.sent)))
	require.Equal(w.t, string(w.sent[:size]), string(read(w.t, s, id)))
}

func read(t *testing.T, s *s3.Store, id storage.ID) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), id)
	require.NoError(t, err)
	size, err := r.Size(t.Context())
	require.NoError(t, err)
	p := make([]byte, size)
	_, err = r.ReadAt(t.Context(), p, 0)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return p
}

// hook decides what becomes of a request; send sends it.
type hook func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error)

// wrap returns what puts a hook around a transport.
func (h hook) wrap(next http.RoundTripper) http.RoundTripper { return hooked{h, next} }

type hooked struct {
	hook hook
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (h hooked) RoundTrip(r *http.Request) (*http.Response, error) {
	return h.hook(r, func() (*http.Response, error) { return h.next.RoundTrip(r) })
}

// put tells whether a request puts the chunk, or the seal, of a number.
func put(r *http.Request, number int) bool {
	return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, fmt.Sprintf("!/%010d", number))
}

// putsChunk tells whether a request puts any chunk or seal behind the head.
func putsChunk(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "!/") && !put(r, 0)
}

var errLost = errors.New("the answer was lost")

// answer is an answer that no server gave.
func answer(r *http.Request, status int, code string) (*http.Response, error) {
	text := fmt.Sprintf("<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status, " ", code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: body{bytes.NewReader([]byte(text))}, ContentLength: int64(len(text)), Request: r,
	}, nil
}

type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

// keys lists what lies in the bucket, with sizes.
func keys(t *testing.T, u *url.URL) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	for o := range raw(t).ListObjectsIter(t.Context(), u.Host, client.ListObjectsOptions{Recursive: true}) {
		require.NoError(t, o.Err)
		found[strings.TrimPrefix(o.Key, "some/prefix/")] = o.Size
	}
	return found
}

func raw(t *testing.T) *client.Client {
	t.Helper()
	c, err := minio.Shared(t).Client()
	require.NoError(t, err)
	return c
}

// lose removes an object behind the store's back.
func lose(t *testing.T, u *url.URL, key string) {
	t.Helper()
	require.NoError(t, raw(t).RemoveObject(t.Context(), u.Host, "some/prefix/"+key, client.RemoveObjectOptions{}))
}

func eventually[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		require.FailNow(t, "it never happened", what)
	}
	return v
}
