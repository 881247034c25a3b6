package s3_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/minio"
)

// The server is killed and comes back: every call says that the store can't be
// used, and may be repeated; nothing acknowledged is lost.
func TestAServerThatIsGoneForAWhile(t *testing.T) {
	server := minio.Own(t)
	require.NoError(t, server.MakeBucket(t.Context(), "bucket"))
	s := open(t, server.StoreURL("bucket", "p"), nil)
	w, sealed := create(t, s, id), create(t, s, storage.ID{Folder: "topic/0", Name: "sealed"})
	w.mustAppend(5)
	require.NoError(t, sealed.appender.Seal(t.Context()))
	r, err := s.Open(t.Context(), id)
	require.NoError(t, err)
	require.NoError(t, server.Kill())

	w.append(2)
	outcome := w.all()[5:]
	require.ErrorIs(t, outcome[0], talos.StoreUnavailable)
	require.ErrorContains(t, outcome[0], "does not answer")
	require.ErrorIs(t, outcome[1], storage.ErrDead)
	calls := map[string]error{}
	_, calls["Create"] = s.Create(t.Context(), storage.ID{Folder: "topic/0", Name: "b"}, []byte("head"), talos.Sync)
	_, calls["Recover"] = s.Recover(t.Context(), id)
	_, calls["Open"] = s.Open(t.Context(), id)
	_, calls["List"] = s.List(t.Context(), "topic/0")
	calls["Remove"] = s.Remove(t.Context(), storage.ID{Folder: "topic/0", Name: "sealed"})
	calls["Purge"] = s.Purge(t.Context(), "topic")
	_, calls["ReadAt"] = r.ReadAt(t.Context(), make([]byte, 4), 0)
	_, calls["Size"] = r.Size(t.Context())
	for call, err := range calls {
		require.ErrorIs(t, err, talos.StoreUnavailable, call)
		require.NotErrorIs(t, err, storage.ErrNotFound, call)
	}

	require.NoError(t, server.Start(t.Context()))
	size := w.recoverAll(s)
	require.EqualValues(t, w.ends[4], size)
	w.mustBeDead()
	create(t, s, storage.ID{Folder: "topic/0", Name: "c"}).mustAppend(3)
	_, err = r.ReadAt(t.Context(), make([]byte, 4), 0)
	require.NoError(t, err)
}

// A server that stands still answers nothing. Whoever gives up can do so at once,
// and what goes on later finds that it is too late.
func TestAServerThatStandsStill(t *testing.T) {
	server := minio.Own(t)
	require.NoError(t, server.MakeBucket(t.Context(), "bucket"))
	u := server.StoreURL("bucket", "p")
	s := open(t, u, nil)
	w := create(t, s, id)
	w.mustAppend(5)
	require.NoError(t, server.Stop())
	w.append(3)
	ctx, cancel := context.WithTimeout(t.Context(), 10*tick)
	defer cancel()
	_, err := s.List(ctx, "topic/0")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	w.appender.Abandon()
	for _, err := range w.all()[5:] {
		require.ErrorIs(t, err, storage.ErrDead)
	}
	require.NoError(t, server.Continue())
	size := w.recoverAll(open(t, u, nil))
	require.GreaterOrEqual(t, size, int64(w.ends[4]))
	create(t, s, storage.ID{Folder: "topic/0", Name: "b"}).mustAppend(1)
}
