package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	client "github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/test/minio"
)

// undone makes the first listing of chunks show an object that is gone right after it,
// as MinIO's does when the one who puts it goes away in the middle.
func undone(t *testing.T, u *url.URL, number int, content string) hook {
	c, key := raw(t), chunkKey(number)
	var met atomic.Bool
	return func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if !strings.Contains(r.URL.Query().Get("prefix"), "chunks/") || met.Swap(true) {
			return send()
		}
		_, err := c.PutObject(t.Context(), u.Host, key, strings.NewReader(content), int64(len(content)), client.PutObjectOptions{})
		if err != nil {
			return nil, err
		}
		response, err := send()
		if err != nil {
			return nil, err
		}
		page, err := io.ReadAll(response.Body)
		err = errors.Join(err, response.Body.Close(), c.RemoveObject(t.Context(), u.Host, key, client.RemoveObjectOptions{}))
		response.Body = body{bytes.NewReader(page)}
		return response, err
	}
}

func chunkKey(number int) string {
	return fmt.Sprintf("some/prefix/chunks/topic/0/a!/%010d", number)
}

// What a listing shows is not there for good while its PUT has not ended: a recovery
// counts none of that, and two of them return one length.
func TestARecoverCountsNothingThatIsTakenBack(t *testing.T) {
	for _, c := range []struct {
		what           string
		number         int
		content        string
		listed, behind bool
	}{
		{"the last chunk", 4, "append 3;", false, false},
		{"the last chunk, listed before", 4, "append 3;", true, false},
		{"a chunk before others", 4, "append 3;", false, true},
		{"a chunk before others, listed before", 4, "append 3;", true, true},
		{"a seal", 4, "", false, false},
		{"a seal, listed before", 4, "", true, false},
		{"a wall", 40, "", false, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			u := minio.ForTest(t)
			w := create(t, open(t, u, nil), id)
			w.mustAppend(3)
			if c.behind {
				_, err := raw(t).PutObject(t.Context(), u.Host, chunkKey(5), strings.NewReader("append 4;"), 9, client.PutObjectOptions{})
				require.NoError(t, err)
			}
			other := open(t, u, undone(t, u, c.number, c.content).wrap)
			if c.listed {
				_, err := other.List(t.Context(), id.Folder)
				require.NoError(t, err)
			}
			info, err := other.Recover(t.Context(), id)
			require.NoError(t, err)
			require.EqualValues(t, len(w.sent), info.Size, "the objects that are there for good")
			w.requireContent(other, info.Size)
			require.Equal(t, info.Size, w.recoverAll(open(t, u, nil)))
			w.mustBeDead()
		})
	}
}

func TestARecoverOfAHeadThatIsTakenBackFindsNothing(t *testing.T) {
	u := minio.ForTest(t)
	_, err := open(t, u, undone(t, u, 0, "head").wrap).Recover(t.Context(), id)
	require.ErrorIs(t, err, storage.ErrNotFound)
}

// holdOne sends the request for one number, and holds its answer back until it is
// released or broken off. It hands out the request.
func holdOne(number int) (h hook, sent <-chan *http.Request, release func()) {
	held, open := make(chan *http.Request, 1), make(chan struct{})
	return func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		response, err := send()
		if put(r, number) {
			held <- r
			select {
			case <-open:
			case <-r.Context().Done():
			}
		}
		return response, err
	}, held, func() { close(open) }
}

// A PUT goes on when nobody waits for it anymore: MinIO may carry one that is broken off
// out later, over what was put meanwhile.
func TestTheChunksOfADeadAppenderAreNotBrokenOff(t *testing.T) {
	u := minio.ForTest(t)
	hold, sent, release := holdOne(2)
	defer release()
	second := make(chan *http.Request, 1)
	w := create(t, open(t, u, hook(func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if put(r, 1) {
			second <- <-sent
			return nil, errLost
		}
		return hold(r, send)
	}).wrap), id)
	w.append(2)
	for _, err := range w.all() {
		require.Error(t, err)
	}
	w.appender.Abandon()
	require.NoError(t, eventually(t, second, "the second chunk was sent").Context().Err())
}

func TestTheSealOfARecoverThatIsGivenUpIsNotBrokenOff(t *testing.T) {
	u := minio.ForTest(t)
	hold, sent, release := holdOne(4)
	defer release()
	w := create(t, open(t, u, nil), id)
	w.mustAppend(3)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	s := open(t, u, hold.wrap)
	go func() {
		_, err := s.Recover(ctx, id)
		result <- err
	}()
	seal := eventually(t, sent, "the seal was sent")
	cancel()
	require.ErrorIs(t, eventually(t, result, "Recover returned"), context.Canceled)
	require.NoError(t, seal.Context().Err())
	w.mustBeDead()
}
