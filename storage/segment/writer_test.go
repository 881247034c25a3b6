package segment

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
)

func TestNewWriterRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(h *Header, producers *[]Producer, m *Meta)
		says   string
	}{
		"no window":       {func(h *Header, _ *[]Producer, _ *Meta) { h.Window = 0 }, "window"},
		"no topic":        {func(h *Header, _ *[]Producer, _ *Meta) { h.TopicName = "" }, "name"},
		"long cluster":    {func(h *Header, _ *[]Producer, _ *Meta) { h.Cluster = strings.Repeat("x", 256) }, "256 bytes"},
		"no number":       {func(h *Header, _ *[]Producer, _ *Meta) { h.Name.Number = 0 }, "segment name"},
		"half a previous": {func(h *Header, _ *[]Producer, _ *Meta) { h.Previous.Epoch = 0 }, "previous"},
		"partition":       {func(h *Header, _ *[]Producer, _ *Meta) { h.Partition = -1 }, "partition -1"},
		"other base":      {func(_ *Header, _ *[]Producer, m *Meta) { m.Base++; m.Next++ }, "starts at offsets 1001"},
		"other next":      {func(_ *Header, _ *[]Producer, m *Meta) { m.Next++ }, "starts at offsets 1000, 1001"},
		"too many producers": {func(_ *Header, p *[]Producer, _ *Meta) {
			*p = make([]Producer, MaxProducers+1)
		}, "40001 producers"},
		"too many batches": {func(_ *Header, p *[]Producer, _ *Meta) {
			*p = []Producer{{ID: 1, Batches: make([]ProducerBatch, 6)}}
		}, "6 batches"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h, producers, m := testHeader(wideOpen), earlier(), Meta{Base: testBase, Next: testBase}
			_, _, err := NewWriter(h, producers, m, 0)
			require.NoError(t, err)
			test.change(&h, &producers, &m)
			_, _, err = NewWriter(h, producers, m, 0)
			require.ErrorContains(t, err, test.says)
		})
	}
}

func TestSaltsDiffer(t *testing.T) {
	m := Meta{Base: testBase, Next: testBase}
	a, headA, err := NewWriter(testHeader(wideOpen), nil, m, 0)
	require.NoError(t, err)
	b, headB, err := NewWriter(testHeader(wideOpen), nil, m, 0)
	require.NoError(t, err)
	require.NotEqual(t, a.Salt(), b.Salt())
	require.NotEqual(t, headA, headB)

	opened, producers, err := ReadHeader(t.Context(), &memory{bytes: headA}, testID)
	require.NoError(t, err)
	require.Empty(t, producers)
	require.Equal(t, Opened{Header: testHeader(wideOpen), Salt: a.Salt(), HeadSize: a.Size()}, opened)
}

// The largest snapshot and the fullest index fit a frame, whatever the segment's size.
func TestLargestFramesFit(t *testing.T) {
	producers := make([]Producer, MaxProducers)
	for i := range producers {
		producers[i] = Producer{ID: int64(i), Batches: make([]ProducerBatch, talos.DuplicateWindow)}
	}
	h := testHeader(wideOpen)
	h.Cluster = strings.Repeat("c", maxClusterLength)
	h.TopicName = talos.TopicName(strings.Repeat("t", talos.MaxTopicNameLength))
	w, head, err := NewWriter(h, producers, Meta{Base: testBase, Next: testBase}, 512)
	require.NoError(t, err)
	require.Less(t, len(head), MaxFrameBytes)
	pos := int64(1)
	for ; len(w.index) < maxIndexEntries; pos += IndexInterval {
		w.index = w.index.add(IndexEntry{Pos: pos})
	}
	require.Greater(t, pos, int64(100<<30), "the entries cover a segment of 100 GiB")
	require.Equal(t, w.index, w.index.add(IndexEntry{Pos: 1 << 50}), "no more than so many entries")
	m := Meta{Next: testBase}
	require.LessOrEqual(t, len(w.Checkpoint(m, producers)), MaxFrameBytes)
	require.LessOrEqual(t, len(w.Footer(m, producers)), MaxFrameBytes)
}

// What would be unreadable is not written.
func TestWriterPanics(t *testing.T) {
	start := Meta{Base: testBase, Next: testBase}
	tests := map[string]func(w *Writer){
		"gap":             func(w *Writer) { w.Data(w.Buffer(0), Meta{Base: testBase + 1, Next: testBase + 2}) },
		"no offsets":      func(w *Writer) { w.Data(w.Buffer(0), start) },
		"too large":       func(w *Writer) { w.Data(make([]byte, MaxFrameBytes), Meta{Base: testBase, Next: testBase + 1}) },
		"snapshot behind": func(w *Writer) { w.Checkpoint(Meta{Next: testBase + 1}, nil) },
		"producers":       func(w *Writer) { w.Footer(start, make([]Producer, MaxProducers+1)) },
	}
	for name, act := range tests {
		t.Run(name, func(t *testing.T) {
			w, _, err := NewWriter(testHeader(wideOpen), nil, start, 0)
			require.NoError(t, err)
			require.Panics(t, func() { act(w) })
		})
	}
}

// The payload stays where the caller put it.
func TestDataIsNotCopied(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	b := o.batch([]string{strings.Repeat("x", 1000)})
	buf := append(o.w.Buffer(len(b)), b...)
	frame := o.w.Data(buf, Meta{Base: testBase, Next: testBase + 1})
	require.Same(t, &buf[0], &frame[0])
	require.Len(t, frame, len(b)+FrameOverhead)
}

// Frames name only checkpoints that are acknowledged.
func TestCheckpointIsNamedOnceAcknowledged(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	named := func() int64 {
		o.data([]string{"x"})
		f := o.written[len(o.written)-1]
		h, ok := frameHeaderAt(o.bytes[f.pos:], f.pos, testSalt)
		require.True(t, ok)
		return h.checkpoint
	}
	require.Zero(t, named())
	o.checkpoint()
	first := o.written[len(o.written)-1]
	o.checkpoint()
	second := o.written[len(o.written)-1]
	require.Zero(t, named())
	o.w.Acknowledged(first.end - 1)
	require.Zero(t, named())
	o.w.Acknowledged(first.end)
	require.Equal(t, first.pos, named())
	o.w.Acknowledged(second.end + 10)
	require.Equal(t, second.pos, named())
}

func TestCheckpointDue(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	chunk := strings.Repeat("x", 1<<20)
	for range 2 {
		for range 4 {
			require.False(t, o.w.CheckpointDue(0))
			o.data([]string{chunk})
		}
		require.True(t, o.w.CheckpointDue(0))
		o.checkpoint()
		require.False(t, o.w.CheckpointDue(0))
	}
}

// Where each frame costs a read of its own, they are counted, unless checkpoints
// would be much of the segment.
func TestCheckpointDueForManyFrames(t *testing.T) {
	const frames = 10
	o := newOwner(t, testHeader(wideOpen))
	o.data([]string{strings.Repeat("more than eight heads ", 1000)})
	for n := 1; n < frames; n++ {
		require.False(t, o.w.CheckpointDue(frames))
		o.data([]string{"x"})
	}
	require.True(t, o.w.CheckpointDue(frames))
	require.False(t, o.w.CheckpointDue(0))
	o.checkpoint()
	for range frames {
		o.data([]string{""})
	}
	require.False(t, o.w.CheckpointDue(frames), "they have few bytes")
	o.data([]string{strings.Repeat("much ", 10_000)})
	require.True(t, o.w.CheckpointDue(frames))
}

// Readers use an index while the writer goes on; the race detector watches.
func TestIndexWhileWriting(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	chunk := strings.Repeat("x", IndexInterval)
	var readers sync.WaitGroup
	for i := range 50 {
		o.data([]string{chunk})
		x := o.w.Index()
		require.Len(t, x, i+1)
		readers.Go(func() {
			if x.Find(testBase+talos.Offset(i)) != x[i].Pos {
				t.Errorf("entry %d", i)
			}
		})
	}
	readers.Wait()
}

func TestIndexIsSparse(t *testing.T) {
	o := newOwner(t, testHeader(wideOpen))
	for range 300 {
		o.data([]string{strings.Repeat("x", 1000)})
	}
	x := o.w.Index()
	require.Len(t, x, 6)
	for i, e := range x[1:] {
		require.GreaterOrEqual(t, e.Pos-x[i].Pos, int64(IndexInterval))
	}
}
