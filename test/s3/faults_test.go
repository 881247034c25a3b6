package s3_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/minio"
)

const tick = 5 * time.Millisecond

// fault is what goes wrong with one request, and whether the object is there
// afterwards.
type fault struct {
	what   string
	effect bool
	hook   hook
}

var faults = []fault{
	{"the answer is lost after the effect", true, func(_ *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		response, err := send()
		if err == nil {
			_ = response.Body.Close()
		}
		return nil, errLost
	}},
	{"the request is lost", false, func(*http.Request, func() (*http.Response, error)) (*http.Response, error) { return nil, errLost }},
	{"503 after the effect", true, func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		response, err := send()
		if err == nil {
			_ = response.Body.Close()
		}
		return answer(r, http.StatusServiceUnavailable, "SlowDown")
	}},
	{"500", false, func(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
		return answer(r, http.StatusInternalServerError, "InternalError")
	}},
	{"409", false, func(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
		return answer(r, http.StatusConflict, "ConditionalRequestConflict")
	}},
	{"409 after the effect", true, func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		response, err := send()
		if err == nil {
			_ = response.Body.Close()
		}
		return answer(r, http.StatusConflict, "ConditionalRequestConflict")
	}},
}

// on applies a fault to the first requests that match, as many as times says.
func (f fault) on(times int64, match func(*http.Request) bool) hook {
	var met atomic.Int64
	return func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if match(r) && met.Add(1) <= times {
			return f.hook(r, send)
		}
		return send()
	}
}

// Whatever goes wrong with a chunk, the appender is dead, sends nothing again, and
// acknowledges neither that append nor one behind it, though their chunks are put.
func TestAnAppendThatFailsKillsTheAppender(t *testing.T) {
	for _, f := range faults {
		t.Run(f.what, func(t *testing.T) {
			var puts atomic.Int64
			faulty := f.on(1, func(r *http.Request) bool { return put(r, 3) })
			u := minio.ForTest(t)
			node := open(t, u, hook(func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
				if put(r, 3) {
					puts.Add(1)
				}
				return faulty(r, send)
			}).wrap)
			other := open(t, u, nil)
			w := create(t, node, id)
			w.mustAppend(2)
			w.append(4)
			outcome := w.all()[2:]
			require.ErrorIs(t, outcome[0], talos.StoreUnavailable)
			require.True(t, talos.StoreUnavailable.Class().Retryable)
			for _, err := range outcome[1:] {
				require.ErrorIs(t, err, storage.ErrDead)
			}
			w.mustBeDead()
			require.EqualValues(t, 1, puts.Load(), "requests for the chunk")
			w.appender.Abandon()
			size := w.recoverAll(other)
			if !f.effect {
				require.EqualValues(t, w.ends[1], size, "what lies behind the gap does not count")
			} else {
				require.GreaterOrEqual(t, size, int64(w.ends[2]))
			}
		})
	}
}

func TestACreateThatFailsIsNeverAnAppender(t *testing.T) {
	for _, f := range faults {
		t.Run(f.what, func(t *testing.T) {
			u := minio.ForTest(t)
			node := open(t, u, f.on(1, func(r *http.Request) bool { return put(r, 0) }).wrap)
			_, err := node.Create(t.Context(), id, []byte("head"), talos.Sync)
			require.Error(t, err)
			info, err := node.Recover(t.Context(), id)
			if f.effect {
				require.NoError(t, err)
				require.EqualValues(t, 4, info.Size)
			} else {
				require.ErrorIs(t, err, storage.ErrNotFound)
			}
		})
	}
}

func TestASealThatFailsLeavesARecoverableSegment(t *testing.T) {
	for _, f := range faults {
		t.Run(f.what, func(t *testing.T) {
			u := minio.ForTest(t)
			node := open(t, u, f.on(1, func(r *http.Request) bool { return put(r, 4) }).wrap)
			w := create(t, node, id)
			w.mustAppend(3)
			require.ErrorIs(t, w.appender.Seal(t.Context()), storage.ErrDead)
			require.EqualValues(t, len(w.sent), w.recoverAll(open(t, u, nil)))
		})
	}
}

// A Recover may fail, but what it did stands, and the next one ends it.
func TestARecoverThatFailsMayBeRepeated(t *testing.T) {
	for _, f := range faults {
		t.Run(f.what, func(t *testing.T) {
			u := minio.ForTest(t)
			node, other := open(t, u, nil), open(t, u, f.on(1, func(r *http.Request) bool { return put(r, 4) }).wrap)
			w := create(t, node, id)
			w.mustAppend(3)
			_, err := other.Recover(t.Context(), id)
			if err != nil {
				require.ErrorIs(t, err, talos.StoreUnavailable)
			}
			size := w.recoverAll(other)
			require.EqualValues(t, len(w.sent), size)
			w.mustBeDead()
		})
	}
}

func TestARecoverRetriesAConflict(t *testing.T) {
	u := minio.ForTest(t)
	conflict := faults[4]
	require.Equal(t, "409", conflict.what)
	w := create(t, open(t, u, nil), id)
	w.mustAppend(3)
	other := open(t, u, conflict.on(3, putsChunk).wrap)
	require.EqualValues(t, len(w.sent), w.recoverAll(other))
}

// An appender that is always faster than the Recover runs against its wall.
func TestARecoverCatchesUpWithAnyAppender(t *testing.T) {
	u := minio.ForTest(t)
	w := create(t, open(t, u, nil), id)
	overtakes := 0
	other := open(t, u, hook(func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if putsChunk(r) {
			overtakes++
			w.append(40)
			w.all()
		}
		return send()
	}).wrap)
	size := w.recoverAll(other)
	require.Greater(t, overtakes, 1, "it was overtaken")
	require.Equal(t, size, w.acknowledged(), "all of the appends had completed")
	w.mustBeDead()
	require.Equal(t, size, w.recoverAll(other))
}

func TestReadsAreRepeated(t *testing.T) {
	u := minio.ForTest(t)
	lost := faults[0]
	s := open(t, u, lost.on(1, func(r *http.Request) bool { return r.Method == http.MethodGet && r.Header.Get("Range") != "" }).wrap)
	w := create(t, s, id)
	w.mustAppend(3)
	require.Equal(t, string(w.sent), string(read(t, s, id)))
}
