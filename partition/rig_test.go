package partition

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sharedRecord is a partition record in memory, used by several nodes.
type sharedRecord struct {
	mu       sync.Mutex
	rec      talos.PartitionRecord
	assigned string
	// before is called ahead of each operation ("raise", "read", "swap"), after
	// behind it; an error from after makes the outcome unknown to the caller.
	before, after func(op string) error
}

func newSharedRecord(node string) *sharedRecord {
	nothing := func(string) error { return nil }
	return &sharedRecord{rec: talos.NewPartitionRecord(), assigned: node, before: nothing, after: nothing}
}

func (s *sharedRecord) as(node string) Records { return nodeRecord{s, node} }

func (s *sharedRecord) assign(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assigned = node
}

func (s *sharedRecord) do(op string, f func() error) error {
	if err := s.before(op); err != nil {
		return err
	}
	s.mu.Lock()
	err := f()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.after(op)
}

type nodeRecord struct {
	shared *sharedRecord
	node   string
}

func (n nodeRecord) Raise(context.Context) (rec talos.PartitionRecord, err error) {
	err = n.shared.do("raise", func() error {
		if n.shared.assigned != n.node {
			return &talos.Error{Kind: talos.NotOwner}
		}
		n.shared.rec.Epoch++
		rec = n.shared.rec
		return nil
	})
	return rec, err
}

func (n nodeRecord) Read(context.Context) (rec talos.PartitionRecord, err error) {
	err = n.shared.do("read", func() error { rec = n.shared.rec; return nil })
	return rec, err
}

func (n nodeRecord) Swap(_ context.Context, old, next talos.PartitionRecord) error {
	return n.shared.do("swap", func() error {
		if n.shared.rec != old {
			return &talos.Error{Kind: talos.NotOwner}
		}
		n.shared.rec = next
		return nil
	})
}

// rig is a partition that nodes open in turn.
type rig struct {
	t       *testing.T
	store   storage.Store
	records *sharedRecord
	topic   talos.Topic
}

func newRig(t *testing.T) *rig {
	return &rig{
		t: t, store: mem.New(), records: newSharedRecord("a"),
		topic: talos.Topic{
			Name: "logs", ID: talos.TopicID{1}, Partitions: 1,
			Config: talos.TopicConfig{SegmentBytes: talos.MinSegmentBytes},
		},
	}
}

func (r *rig) config(node string) Config {
	return Config{
		Cluster: "c", Topic: r.topic, Store: r.store, Records: r.records.as(node),
		Logger: slog.New(slog.NewTextHandler(r.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// open opens the partition as a node, which the record is assigned to first.
func (r *rig) open(node string) *Log {
	r.t.Helper()
	r.records.assign(node)
	l, err := Open(r.t.Context(), r.config(node))
	require.NoError(r.t, err)
	r.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			r.t.Errorf("close: %v", err)
		}
	})
	return l
}

// outcome is what done was called with.
type outcome struct {
	Appended
	err error
}

// send appends and returns where the outcome will come.
func send(l *Log, b []byte) <-chan outcome {
	ch := make(chan outcome, 1)
	l.Append(b, func(a Appended, err error) { ch <- outcome{a, err} })
	return ch
}

func (r *rig) append(l *Log, b []byte) Appended {
	r.t.Helper()
	o := <-send(l, b)
	require.NoError(r.t, o.err)
	return o.Appended
}

// values reads everything from offset on, as "offset:value", one for each batch.
func (r *rig) values(l *Log, from talos.Offset) []string {
	r.t.Helper()
	var all []string
	for {
		b, err := l.Read(r.t.Context(), from, 1000)
		require.NoError(r.t, err)
		if len(b) == 0 {
			return all
		}
		for one, err := range batch.All(b) {
			require.NoError(r.t, err)
			require.True(r.t, batch.ChecksumOK(one.Bytes))
			all = append(all, fmt.Sprintf("%d:%s", one.Base, one.Bytes[batch.HeaderSize:]))
			from = one.Next()
		}
	}
}

// plain makes a batch of one record that no producer id guards. What counts as
// its record is the text, for the partition never looks inside.
func plain(text string) []byte { return idempotent(text, batch.NoProducer, 0, -1) }

func idempotent(text string, producer int64, epoch int16, sequence int32) []byte {
	return manyRecords(text, 1, producer, epoch, sequence)
}

func manyRecords(text string, records int32, producer int64, epoch int16, sequence int32) []byte {
	k := kmsg.RecordBatch{
		Length: int32(batch.HeaderSize - 12 + len(text)), PartitionLeaderEpoch: -1, Magic: 2,
		LastOffsetDelta: records - 1, ProducerID: producer, ProducerEpoch: epoch, FirstSequence: sequence,
		NumRecords: records, Records: []byte(text),
	}
	b := k.AppendTo(nil)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	if _, err := batch.Check(b, 1<<20); err != nil {
		panic(err)
	}
	return b
}

// hooked is a store whose operations a test holds up or fails. Each hook may be
// nil.
type hooked struct {
	storage.Store
	// create and recover run before the operation; an error is its result.
	create, recover func(storage.ID) error
	// seal runs before the operation.
	seal func()
	// written runs before an append reaches the store; an error fails it.
	written func(size int) error
	traits  *storage.Traits
}

func (h *hooked) Create(ctx context.Context, id storage.ID, head []byte, d talos.Durability) (storage.Appender, error) {
	if h.create != nil {
		if err := h.create(id); err != nil {
			return nil, err
		}
	}
	a, err := h.Store.Create(ctx, id, head, d)
	if err != nil {
		return nil, err
	}
	return &hookedAppender{Appender: a, store: h}, nil
}

func (a *hookedAppender) Seal(ctx context.Context) error {
	if a.store.seal != nil {
		a.store.seal()
	}
	return a.Appender.Seal(ctx)
}

func (h *hooked) Recover(ctx context.Context, id storage.ID) (storage.Info, error) {
	if h.recover != nil {
		if err := h.recover(id); err != nil {
			return storage.Info{}, err
		}
	}
	return h.Store.Recover(ctx, id)
}

func (h *hooked) Traits() storage.Traits {
	if h.traits != nil {
		return *h.traits
	}
	return h.Store.Traits()
}

type hookedAppender struct {
	storage.Appender
	store *hooked
}

func (a *hookedAppender) Append(p []byte, done func(error)) {
	if a.store.written != nil {
		if err := a.store.written(len(p)); err != nil {
			a.Abandon()
			a.Appender.Append(p, func(error) { done(err) })
			return
		}
	}
	a.Appender.Append(p, done)
}

var errInjected = fmt.Errorf("injected: %w", io.ErrUnexpectedEOF)

// advance lets virtual time pass, in a synctest bubble.
func advance(d time.Duration) { <-time.After(d) }
