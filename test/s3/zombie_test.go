package s3_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/minio"
)

// gate holds requests back, as a process that is stopped does.
type gate struct {
	mu      sync.Mutex // guards the fields below
	holds   func(*http.Request) bool
	open    chan struct{}
	arrived chan struct{}
}

func newGate() *gate { return &gate{} }

// close holds back, from now on, the requests that holds names.
func (g *gate) close(holds func(*http.Request) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds, g.open, g.arrived = holds, make(chan struct{}), make(chan struct{}, 1000)
}

// await waits until n requests are held back.
func (g *gate) await(t *testing.T, n int) {
	t.Helper()
	for range n {
		eventually(t, g.arrived, "a request came to the gate")
	}
}

// release lets everything go on.
func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds = nil
	close(g.open)
}

func (g *gate) hook(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
	g.mu.Lock()
	hold := g.holds != nil && g.holds(r)
	open, arrived := g.open, g.arrived
	g.mu.Unlock()
	if hold {
		arrived <- struct{}{}
		select {
		case <-open:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return send()
}

// A node is stopped at some stage, another one recovers its segment, and the first
// goes on.
func TestAZombieAcknowledgesNothingAfterTheRecovery(t *testing.T) {
	everyPut := func(r *http.Request) bool { return r.Method == http.MethodPut }
	for _, c := range []struct {
		stage string
		// before is acknowledged before the stop; flying appends are on their way in it.
		before, flying int
		// held are the requests that have not left the node.
		held func(*http.Request) bool
		// heldBack is how many of those there are.
		heldBack int
		// size is the recovered length in appends.
		size int
	}{
		{"after Create", 0, 0, everyPut, 0, 0},
		{"between two appends", 5, 0, everyPut, 0, 5},
		{"with one append on its way", 2, 1, everyPut, 1, 2},
		{"with many on their way", 2, 4, everyPut, 4, 2},
		{"with more on their way than are sent at once", 2, 20, everyPut, 16, 2},
		{"with a gap: the first on its way is held", 2, 4, func(r *http.Request) bool { return put(r, 3) }, 1, 2},
		{"with a gap: one in the middle is held", 2, 4, func(r *http.Request) bool { return put(r, 5) }, 1, 4},
	} {
		t.Run(c.stage, func(t *testing.T) {
			u, g := minio.ForTest(t), newGate()
			node, other := open(t, u, hook(g.hook).wrap), open(t, u, nil)
			w := create(t, node, id)
			w.mustAppend(c.before)
			g.close(c.held)
			w.append(c.flying)
			g.await(t, c.heldBack)
			// What is not held has to be there, for the length to be known.
			arrived := min(c.flying, 16) - c.heldBack
			require.Eventually(t, func() bool { return chunks(keys(t, u)) == 1+c.before+arrived }, patience, tick)

			size := w.recoverAll(other)
			want := len("head of a;")
			if c.size > 0 {
				want = w.ends[c.size-1]
			}
			require.EqualValues(t, want, size)
			acknowledged := w.acknowledged()
			g.release()
			w.all()
			require.LessOrEqual(t, w.acknowledged(), size, "acknowledged beyond the recovered length")
			require.GreaterOrEqual(t, w.acknowledged(), acknowledged)
			w.mustBeDead()
			w.appender.Abandon()
			require.Equal(t, size, w.recoverAll(other))
			require.Equal(t, size, w.recoverAll(open(t, u, nil)), "by a third node")
		})
	}
}

func TestAZombieDoesNotSealAfterTheRecovery(t *testing.T) {
	u, g := minio.ForTest(t), newGate()
	node, other := open(t, u, hook(g.hook).wrap), open(t, u, nil)
	w := create(t, node, id)
	w.mustAppend(3)
	g.close(putsChunk)
	sealed := make(chan error, 1)
	go func() { sealed <- w.appender.Seal(t.Context()) }()
	g.await(t, 1)
	size := w.recoverAll(other)
	g.release()
	require.ErrorIs(t, eventually(t, sealed, "Seal returned"), storage.ErrDead)
	require.Equal(t, size, w.recoverAll(other))
}

// The head of a Create comes late: after the segment, which nobody could see, was
// given up and removed.
func TestACreateThatComesLateMakesNothing(t *testing.T) {
	u, g := minio.ForTest(t), newGate()
	node, other := open(t, u, hook(g.hook).wrap), open(t, u, nil)
	g.close(func(r *http.Request) bool { return put(r, 0) })
	created := make(chan error, 1)
	go func() {
		_, err := node.Create(t.Context(), id, []byte("head"), talos.Sync)
		created <- err
	}()
	g.await(t, 1)
	_, err := other.Recover(t.Context(), id)
	require.ErrorIs(t, err, storage.ErrNotFound)
	listing, err := other.List(t.Context(), id.Folder)
	require.NoError(t, err)
	require.Empty(t, listing.Segments)
	require.NoError(t, other.Remove(t.Context(), id))
	g.release()
	require.ErrorIs(t, eventually(t, created, "Create returned"), storage.ErrExists)
	require.Equal(t, map[string]int64{"chunks/topic/0/a!/0000000000": 0}, keys(t, u))
}

// A segment that is removed has no appender anymore, and never has one again.
func TestAZombieIsStoppedByARemove(t *testing.T) {
	u, g := minio.ForTest(t), newGate()
	node, other := open(t, u, hook(g.hook).wrap), open(t, u, nil)
	w := create(t, node, id)
	w.mustAppend(3)
	g.close(putsChunk)
	w.append(2)
	g.await(t, 2)
	require.NoError(t, other.Remove(t.Context(), id))
	g.release()
	for _, err := range w.all()[3:] {
		require.ErrorIs(t, err, storage.ErrDead)
	}
	w.mustBeDead()
	_, err := node.Create(t.Context(), id, []byte("head"), talos.Sync)
	require.ErrorIs(t, err, storage.ErrExists)
	_, err = other.Recover(t.Context(), id)
	require.ErrorIs(t, err, storage.ErrNotFound)
	listing, err := other.List(t.Context(), id.Folder)
	require.NoError(t, err)
	require.Empty(t, listing.Segments)
}

// chunks counts the objects that are chunks.
func chunks(keys map[string]int64) int {
	n := 0
	for _, size := range keys {
		if size > 0 {
			n++
		}
	}
	return n
}
