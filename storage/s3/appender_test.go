package s3

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
)

// Behind a chunk that failed nothing is put anymore: a chunk a whole window
// further would make readers take the missing one for damage.
func TestAFailedChunkStartsNoOther(t *testing.T) {
	a := newAppender(nil, storage.ID{Folder: "topic/0", Name: "a"}, 4) // a send would need the store
	next := &pending{key: "next", result: make(chan error, 1)}
	a.sent, a.waiting = window, []*pending{next}
	require.ErrorIs(t, a.settle(&pending{}, errTaken), storage.ErrDead)
	require.ErrorIs(t, <-next.result, storage.ErrDead)
	require.ErrorIs(t, a.settle(next, storage.ErrDead), storage.ErrDead)
}
