package partition

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// chunked is a store in which an append must end with a chunk if another one
// follows it.
type chunked struct {
	storage.Store

	mu      sync.Mutex // guards the fields below
	appends int
	wrong   []int64
}

const testChunk = 512

func (c *chunked) Traits() storage.Traits {
	traits := c.Store.Traits()
	traits.Chunk = testChunk
	return traits
}

func (c *chunked) Create(ctx context.Context, id storage.ID, head []byte, d talos.Durability) (storage.Appender, error) {
	a, err := c.Store.Create(ctx, id, head, d)
	return &chunkedAppender{Appender: a, store: c, end: int64(len(head))}, err
}

type chunkedAppender struct {
	storage.Appender
	store *chunked
	end   int64
}

func (a *chunkedAppender) Append(p []byte, done func(error)) {
	a.store.mu.Lock()
	a.store.appends++
	if a.end%testChunk != 0 {
		a.store.wrong = append(a.store.wrong, a.end)
	}
	a.end += int64(len(p))
	a.store.mu.Unlock()
	a.Appender.Append(p, done)
}

func TestAppendsDoNotShareAChunk(t *testing.T) {
	r := newRig(t)
	store := &chunked{Store: r.store}
	r.store = store
	l := r.open("a")
	for range 50 {
		r.append(l, plain("one"))
	}
	values := r.values(l, 0)
	require.Len(t, values, 50)
	require.NoError(t, l.Close(t.Context()))
	l = r.open("b")
	r.append(l, plain("two"))
	require.Equal(t, append(values, "50:two"), r.values(l, 0))
	require.NoError(t, l.Close(t.Context()))
	store.mu.Lock()
	defer store.mu.Unlock()
	require.Equal(t, 50+1+1+1, store.appends, "the records and two footers")
	require.Empty(t, store.wrong, "appends that began inside of a chunk")
}
