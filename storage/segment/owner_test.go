package segment

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

const (
	testSalt  = 0x0102030405060708
	testTime  = 1_700_000_000_000
	testID    = "topic/0/segment"
	wideOpen  = 64 << 20
	testBase  = talos.Offset(1000)
	testEpoch = talos.Epoch(7)
)

// memory is a Source over bytes that counts what is read.
type memory struct {
	bytes []byte
	read  int
	err   error
}

func (m *memory) ReadAt(_ context.Context, p []byte, off int64) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	if off >= int64(len(m.bytes)) {
		return 0, io.EOF
	}
	n := copy(p, m.bytes[off:])
	m.read += n
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func testHeader(window int64) Header {
	return Header{
		Cluster: "test", Topic: talos.TopicID{1, 2, 3}, TopicName: "logs", Partition: 3,
		Name:     talos.SegmentName{Number: 5, Epoch: testEpoch, Base: testBase},
		Previous: talos.SegmentName{Number: 4, Epoch: 6, Base: 800},
		Created:  time.UnixMilli(testTime).UTC(), Window: window,
	}
}

// earlier is what producers did before the segment.
func earlier() []Producer {
	return []Producer{{ID: 9, Batches: []ProducerBatch{{Epoch: 2, First: 40, Last: 49, Base: 990, Time: testTime - 5}}}}
}

// owner writes a segment as a partition does, and remembers the truth.
type owner struct {
	t         require.TestingT
	w         *Writer
	bytes     []byte
	meta      Meta
	producers []Producer
	written   []written
	acked     int // how many of written are acknowledged
	sequence  int32
}

// written is the truth about one frame, and about everything up to its end.
type written struct {
	frameType uint8
	pos, end  int64
	Meta
	batches   []byte
	producers []Producer
}

func newOwner(t require.TestingT, h Header) *owner { return newOwnerIn(t, h, 0) }

// newOwnerIn writes to a store with chunks.
func newOwnerIn(t require.TestingT, h Header, chunk int64) *owner {
	o := &owner{t: t, meta: Meta{Base: h.Name.Base, Next: h.Name.Base, Acked: h.Name.Base, Time: testTime}, producers: earlier()}
	w, head, err := newWriter(h, o.producers, o.meta, chunk, testSalt)
	require.NoError(t, err)
	o.w = w
	o.wrote(TypeHeader, head, nil)
	o.acked = len(o.written)
	return o
}

func (o *owner) wrote(frameType uint8, frame, batches []byte) {
	pos := int64(len(o.bytes))
	o.bytes = append(o.bytes, frame...)
	require.Equal(o.t, o.w.Size(), int64(len(o.bytes)))
	one := written{
		frameType: frameType, pos: pos, end: o.w.Size(), Meta: o.meta, batches: batches, producers: clone(o.producers),
	}
	h, ok := parseFrameHeader(frame)
	require.True(o.t, ok)
	if h.end() == one.end {
		o.written = append(o.written, one)
		return
	}
	padding := one
	one.end, padding.pos = h.end(), h.end()
	padding.frameType, padding.Base, padding.batches = TypePadding, one.Next, nil
	o.written = append(o.written, one, padding)
}

// data writes one frame with a batch for each list of values.
func (o *owner) data(batches ...[]string) {
	o.meta.Time += 10
	o.meta.Base = o.meta.Next
	buf := o.w.Buffer(0)
	for _, values := range batches {
		b := o.batch(values)
		h, err := batch.Parse(b)
		require.NoError(o.t, err)
		o.producers = remember(o.producers, h, o.meta.Time)
		o.meta.Next = h.Next()
		buf = append(buf, b...)
	}
	payload := bytes.Clone(buf[headerBytes:])
	o.wrote(TypeData, o.w.Data(buf, o.meta), payload)
}

func (o *owner) batch(values []string) []byte {
	builder := batch.NewBuilder(nil)
	for _, v := range values {
		builder.Add(&talos.Record{Value: []byte(v)}, time.UnixMilli(testTime))
	}
	b, err := builder.Build(batch.BuildOptions{ProducerID: int64(len(values)), ProducerEpoch: 1, FirstSequence: o.sequence})
	require.NoError(o.t, err)
	o.sequence += int32(len(values))
	batch.Place(b, o.meta.Next, testEpoch)
	return b
}

func (o *owner) checkpoint() { o.wrote(TypeCheckpoint, o.w.Checkpoint(o.at(), o.producers), nil) }
func (o *owner) footer()     { o.wrote(TypeFooter, o.w.Footer(o.at(), o.producers), nil) }

// summary is what a footer should say now.
func (o *owner) summary() Summary {
	s := o.w.summary
	s.Next = o.meta.Next
	return s
}

func (o *owner) at() Meta {
	o.meta.Base = o.meta.Next
	return o.meta
}

// ack acknowledges all but the last so many frames.
func (o *owner) ack(butLast int) {
	o.acked = max(o.acked, len(o.written)-butLast)
	f := o.written[o.acked-1]
	o.meta.Acked = max(o.meta.Acked, f.Next)
	o.w.Acknowledged(f.end)
}

// upTo is the last frame that ends at or before the position.
func (o *owner) upTo(pos int64) written {
	i := slices.IndexFunc(o.written, func(f written) bool { return f.end > pos })
	if i < 0 {
		i = len(o.written)
	}
	return o.written[i-1]
}

// frameOf is the frame that has the byte.
func (o *owner) frameOf(pos int64) written {
	i := slices.IndexFunc(o.written, func(f written) bool { return f.end > pos })
	return o.written[i]
}

// batches is what can be read below an offset.
func (o *owner) batches(below talos.Offset) []byte {
	var all []byte
	for _, f := range o.written {
		if f.Next <= below {
			all = append(all, f.batches...)
		}
	}
	return all
}

func clone(producers []Producer) []Producer {
	var c []Producer
	for _, p := range producers {
		c = append(c, Producer{ID: p.ID, Batches: slices.Clone(p.Batches)})
	}
	return c
}

// remember does to a snapshot what a partition does for each batch.
func remember(producers []Producer, h batch.Header, at int64) []Producer {
	i := slices.IndexFunc(producers, func(p Producer) bool { return p.ID == h.ProducerID })
	if i < 0 {
		i = len(producers)
		producers = append(producers, Producer{ID: h.ProducerID})
	}
	p := &producers[i]
	if len(p.Batches) == talos.DuplicateWindow {
		p.Batches = p.Batches[1:]
	}
	p.Batches = append(slices.Clip(p.Batches), ProducerBatch{
		Epoch: h.ProducerEpoch, First: h.FirstSequence, Last: h.LastSequence(), Base: h.Base, Time: at,
	})
	return producers
}

// load loads bytes, and returns the producers as they then are too.
func load(b []byte, o LoadOptions) (Loaded, []Producer, error) {
	var producers []Producer
	next := unknownOffset
	o.ID, o.Size = testID, int64(len(b))
	o.Restore = func(p []Producer) { producers = clone(p) }
	o.Apply = func(b batch.Batch, at int64) error {
		if next != unknownOffset && b.Base != next {
			return fmt.Errorf("offset %d applied, %d should be next", b.Base, next)
		}
		next = b.Next()
		producers = remember(producers, b.Header, at)
		return nil
	}
	l, err := Load(context.Background(), &memory{bytes: b}, o)
	return l, producers, err
}

// readAll reads the segment's batches from its base on, through the index, until
// there are no more.
func readAll(b []byte, l Loaded) ([]byte, error) {
	var all []byte
	for from := l.Name.Base; from < l.Next; {
		part, err := ReadBatches(context.Background(), &memory{bytes: b}, Query{
			ID: testID, Salt: l.Salt, From: from, Limit: l.Next, Pos: l.Index.Find(from), End: l.End, MaxBytes: 1 << 30,
		})
		if err != nil {
			return nil, err
		}
		for one, err := range batch.All(part) {
			if err != nil {
				return nil, err
			}
			from = one.Next()
		}
		all = append(all, part...)
	}
	return all, nil
}

var atByte = regexp.MustCompile(`at byte (\d+): `)

// requireCorrupt wants an error that says that the segment is damaged at pos.
func requireCorrupt(t require.TestingT, err error, pos int64) {
	require.ErrorIs(t, err, talos.CorruptSegment)
	require.ErrorContains(t, err, testID)
	m := atByte.FindStringSubmatch(err.Error())
	require.NotNil(t, m, "%v", err)
	require.Equal(t, strconv.FormatInt(pos, 10), m[1], "%v", err)
}

// requireNewer wants an error that says that what lies at pos is of a newer
// version, which is no damage.
func requireNewer(t require.TestingT, err error, pos int64) {
	require.ErrorIs(t, err, talos.NewerFormat)
	require.ErrorContains(t, err, fmt.Sprintf("%s: %s: at byte %d: ", testID, talos.NewerFormat.Class().Text, pos))
}

// small is a segment with everything in it; acknowledgements lag by one frame.
func small(t require.TestingT, window int64) *owner { return smallIn(t, window, 0) }

func smallIn(t require.TestingT, window, chunk int64) *owner {
	o := newOwnerIn(t, testHeader(window), chunk)
	for i := range 3 {
		o.data([]string{fmt.Sprintf("value %d", i), "x"}, []string{"a second batch"})
		o.ack(1)
		o.data([]string{"y"})
		o.ack(1)
		o.checkpoint()
		o.ack(0)
	}
	o.data([]string{"behind the last checkpoint"})
	o.data([]string{"not acknowledged", ""})
	return o
}

func sealed(t require.TestingT) *owner { return sealedIn(t, 0) }

func sealedIn(t require.TestingT, chunk int64) *owner {
	o := smallIn(t, wideOpen, chunk)
	o.ack(0)
	o.footer()
	return o
}
