package storagetest

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// patience is how long the suite waits for what must happen; only a store that
// is broken makes it wait so long.
const patience = 2 * time.Minute

// segment is one that a test writes, with what became of its appends. Its
// methods that append belong to one goroutine.
type segment struct {
	t        *testing.T
	store    storage.Store
	id       storage.ID
	appender storage.Appender
	head     []byte
	sent     []byte // the head and all that was appended
	ends     []int  // the length of sent after each append

	mu      sync.Mutex // guards the fields below
	outcome []error    // of the completed appends, in the order of completion
	faults  []string   // breaches of the callback discipline
	called  int        // done functions running now
	observe func()     // called by each done function
	changed chan struct{}
}

func id(name string) storage.ID { return storage.ID{Folder: "topic/0", Name: name} }

// create makes a segment; its appender is given up when the test ends.
func create(t *testing.T, s storage.Store, id storage.ID) *segment {
	t.Helper()
	head := []byte("head of " + id.Name + ";")
	appender, err := s.Create(t.Context(), id, head, talos.Sync)
	require.NoError(t, err)
	t.Cleanup(appender.Abandon)
	return &segment{
		t: t, store: s, id: id, appender: appender,
		head: head, sent: bytes.Clone(head), changed: make(chan struct{}, 1),
	}
}

// append starts an append.
func (g *segment) append(p []byte) {
	n := len(g.ends)
	g.sent = append(g.sent, p...)
	g.ends = append(g.ends, len(g.sent))
	once := false
	g.appender.Append(p, func(err error) {
		g.enter(n, &once)
		runtime.Gosched() // room for a done function that should not run now
		g.leave(err)
	})
}

func (g *segment) enter(n int, once *bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.called++
	if g.called > 1 {
		g.faults = append(g.faults, fmt.Sprintf("done of append %d was called while another one ran", n))
	}
	if *once {
		g.faults = append(g.faults, fmt.Sprintf("done of append %d was called twice", n))
	}
	if n != len(g.outcome) {
		g.faults = append(g.faults, fmt.Sprintf("done of append %d was called as number %d", n, len(g.outcome)))
	}
	*once = true
}

func (g *segment) leave(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.called--
	g.outcome = append(g.outcome, err)
	if g.observe != nil {
		g.observe()
	}
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// appendN starts n appends, distinct and of various lengths.
func (g *segment) appendN(n int) {
	for range n {
		i := len(g.ends)
		g.append(bytes.Repeat(fmt.Appendf(nil, "%s append %d;", g.id.Name, i), 1+i%50))
	}
}

// wait returns the outcomes when all appends have completed.
func (g *segment) wait() []error {
	g.t.Helper()
	deadline := time.After(patience)
	for {
		g.mu.Lock()
		outcome, faults := g.outcome, g.faults
		g.mu.Unlock()
		require.Empty(g.t, faults)
		if len(outcome) >= len(g.ends) {
			return outcome
		}
		select {
		case <-g.changed:
		case <-deadline:
			require.FailNow(g.t, "appends never completed", "%d of %d did", len(outcome), len(g.ends))
		}
	}
}

// failed tells whether an append has failed.
func (g *segment) failed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.outcome, func(err error) bool { return err != nil })
}

// onDone has f called, quickly, by each done function.
func (g *segment) onDone(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.observe = f
}

// mustAppend appends n times and requires that all become durable.
func (g *segment) mustAppend(n int) {
	g.t.Helper()
	before := len(g.ends)
	g.appendN(n)
	for i, err := range g.wait()[before:] {
		require.NoError(g.t, err, "append %d", before+i)
	}
}

// mustBeDead requires that appends do not work anymore.
func (g *segment) mustBeDead() {
	g.t.Helper()
	before := len(g.ends)
	g.appendN(3)
	for _, err := range g.wait()[before:] {
		require.ErrorIs(g.t, err, storage.ErrDead)
	}
}

// acknowledged returns the length up to which appends were acknowledged; after
// the first failure there must be none.
func (g *segment) acknowledged() int {
	g.t.Helper()
	length, failed := len(g.head), false
	for i, err := range g.wait() {
		if err != nil {
			failed = true
			continue
		}
		require.False(g.t, failed, "append %d was acknowledged after one had failed", i)
		length = g.ends[i]
	}
	return length
}

// mustRecover recovers the segment, requires that the length covers what was
// acknowledged and that the bytes are those sent, and returns the length.
func (g *segment) mustRecover() int64 {
	g.t.Helper()
	info, err := g.store.Recover(g.t.Context(), g.id)
	require.NoError(g.t, err)
	require.Equal(g.t, g.id.Name, info.Name)
	require.LessOrEqual(g.t, int64(g.acknowledged()), info.Size, "acknowledged bytes are beyond the recovered length")
	require.LessOrEqual(g.t, info.Size, int64(len(g.sent)), "the recovered length has bytes that nobody sent")
	require.Equal(g.t, string(g.sent[:info.Size]), string(read(g.t, g.store, g.id)))
	return info.Size
}

// read returns a segment's whole content.
func read(t *testing.T, s storage.Store, id storage.ID) []byte {
	t.Helper()
	r := open(t, s, id)
	size, err := r.Size(t.Context())
	require.NoError(t, err)
	p := make([]byte, size)
	n, err := r.ReadAt(t.Context(), p, 0)
	require.NoError(t, err)
	require.Equal(t, int(size), n)
	return p
}

// open opens a segment for reading until the test ends.
func open(t *testing.T, s storage.Store, id storage.ID) storage.Reader {
	t.Helper()
	r, err := s.Open(t.Context(), id)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// eventually returns what comes from a channel.
func eventually[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		require.FailNow(t, "it never happened", what)
	}
	return v
}
