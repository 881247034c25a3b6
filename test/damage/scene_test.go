package damage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"github.com/talos-log/talos/test/model"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	node    = "a"
	timeout = 20 * time.Second
	// headerBytes is the length of a frame's header; the rest of its overhead is
	// the trailer: length and checksum.
	headerBytes = segment.FrameOverhead - 8
)

// unsynced is the file system without syncs, which thousands of openings would
// spend their time in. Nothing here crashes the machine.
type unsynced struct{ local.OS }

func (u unsynced) OpenFile(name string, flag int) (local.File, error) {
	f, err := u.OS.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

func (unsynced) SyncDir(string) error { return nil }

type unsyncedFile struct{ local.File }

func (unsyncedFile) Datasync() error { return nil }

// spoiled is a store whose readers see other bytes than those that were written,
// for a store whose bytes can't be reached otherwise.
type spoiled struct {
	storage.Store
	bytes map[storage.ID][]byte
}

func (s *spoiled) Open(ctx context.Context, id storage.ID) (storage.Reader, error) {
	r, err := s.Store.Open(ctx, id)
	if b, ok := s.bytes[id]; ok && err == nil {
		return spoiledReader{r, b}, nil
	}
	return r, err
}

type spoiledReader struct {
	storage.Reader
	bytes []byte
}

func (r spoiledReader) ReadAt(_ context.Context, p []byte, off int64) (int, error) {
	return bytes.NewReader(r.bytes).ReadAt(p, off)
}

func (r spoiledReader) Size(context.Context) (int64, error) { return int64(len(r.bytes)), nil }

// lines is what the partitions logged.
type lines struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// scene is a topic's partitions on one store.
type scene struct {
	history *partition.History
	t       *testing.T
	root    string // of the local store; empty in memory
	store   *spoiled
	topic   talos.Topic
	records map[int32]*model.Record
	logged  *lines
	// sent is, for each offset of a partition, the batch that holds it, as it
	// should be read.
	sent map[int32][][]byte
}

func newLocal(t *testing.T) *scene {
	root := t.TempDir()
	store, err := local.Open(root, local.Options{FS: unsynced{}})
	require.NoError(t, err)
	s := newScene(t, store)
	s.root = root
	return s
}

func newMem(t *testing.T) *scene { return newScene(t, mem.New()) }

// historyBytes is too little for anything: damage in the store does not hide
// behind a good copy in memory.
const historyBytes = 1

func newScene(t *testing.T, store storage.Store) *scene {
	history := partition.NewHistory(historyBytes)
	t.Cleanup(history.Close)
	s := &scene{
		t: t, store: &spoiled{Store: store, bytes: map[storage.ID][]byte{}}, logged: &lines{},
		topic:   talos.Topic{Name: "logs", ID: talos.TopicID{1}, Partitions: 2},
		history: history, records: map[int32]*model.Record{}, sent: map[int32][][]byte{},
	}
	for p := range s.topic.Partitions {
		s.records[p] = model.NewRecord()
		s.records[p].Assign(node)
	}
	return s
}

func (s *scene) open(p int32) (*partition.Log, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), timeout)
	defer cancel()
	return partition.Open(ctx, partition.Config{
		Cluster: "c", Topic: s.topic, Partition: p, Store: s.store, Records: s.records[p].As(node, &model.Faults{}),
		Logger: slog.New(slog.NewJSONHandler(s.logged, nil)), History: s.history,
	})
}

func (s *scene) mustOpen(p int32) *partition.Log {
	s.t.Helper()
	l, err := s.open(p)
	require.NoError(s.t, err)
	return l
}

func (s *scene) close(l *partition.Log) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	require.NoError(s.t, l.Close(ctx))
}

// append stores n batches, one append each; every second one is of a producer
// and has two records.
func (s *scene) append(p int32, l *partition.Log, n int) {
	s.t.Helper()
	for i := range n {
		base := talos.Offset(len(s.sent[p]))
		records, guard := 1, batch.BuildOptions{ProducerID: batch.NoProducer, ProducerEpoch: -1, FirstSequence: -1}
		if i%2 == 1 {
			records, guard = 2, batch.BuildOptions{ProducerID: int64(base)}
		}
		builder := batch.NewBuilder(&batch.Compressor{})
		for r := range records {
			builder.Add(&talos.Record{Value: fmt.Appendf(nil, "record %d of partition %d", int(base)+r, p)}, time.UnixMilli(1))
		}
		b, err := builder.Build(guard)
		require.NoError(s.t, err)
		want := bytes.Clone(b)
		type outcome struct {
			partition.Appended
			err error
		}
		done := make(chan outcome, 1)
		l.Append(b, func(a partition.Appended, err error) { done <- outcome{a, err} })
		o := <-done
		require.NoError(s.t, o.err)
		require.Equal(s.t, base, o.Base)
		batch.Place(want, o.Base, o.Epoch)
		for range records {
			s.sent[p] = append(s.sent[p], want)
		}
	}
}

// write lets one owner after another open the partition, append four batches
// and hand it over: a sealed segment for each.
func (s *scene) write(p int32, owners int) {
	s.t.Helper()
	for range owners {
		l := s.mustOpen(p)
		s.append(p, l, 4)
		s.close(l)
	}
}

// crash ends the segment that an owner is writing behind its back, as a later
// owner would: without a footer. The owner is closed.
func (s *scene) crash(p int32, l *partition.Log) {
	s.t.Helper()
	segments := s.segments(p)
	_, err := s.store.Recover(s.t.Context(), segments[len(segments)-1])
	require.NoError(s.t, err)
	s.close(l)
}

func (s *scene) segments(p int32) []storage.ID {
	s.t.Helper()
	folder := talos.PartitionID{Topic: s.topic.ID, Number: p}.String()
	listing, err := s.store.List(s.t.Context(), folder)
	require.NoError(s.t, err)
	var all []storage.ID
	for _, info := range listing.Segments {
		all = append(all, storage.ID{Folder: folder, Name: info.Name})
	}
	return all
}

// content is all bytes of a segment, as readers see them.
func (s *scene) content(id storage.ID) []byte {
	s.t.Helper()
	r, err := s.store.Open(s.t.Context(), id)
	require.NoError(s.t, err)
	size, err := r.Size(s.t.Context())
	require.NoError(s.t, err)
	b := make([]byte, size)
	if _, err := r.ReadAt(s.t.Context(), b, 0); err != nil {
		require.ErrorIs(s.t, err, io.EOF)
	}
	require.NoError(s.t, r.Close())
	return b
}

// replace gives a segment other bytes.
func (s *scene) replace(id storage.ID, b []byte) {
	s.t.Helper()
	if s.root == "" {
		s.store.bytes[id] = b
		return
	}
	// In place: to cut a file to nothing first makes some file systems flush it.
	f, err := os.OpenFile(s.path(id), os.O_WRONLY, 0)
	require.NoError(s.t, err)
	_, err = f.WriteAt(b, 0)
	require.NoError(s.t, err)
	require.NoError(s.t, f.Truncate(int64(len(b))))
	require.NoError(s.t, f.Close())
}

func (s *scene) path(id storage.ID) string { return filepath.Join(s.root, id.Folder, id.Name) }

// files is everything below the root, by path; nothing in memory, where there is
// only what tests replace.
func (s *scene) files() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	if s.root == "" {
		return all
	}
	require.NoError(s.t, filepath.WalkDir(s.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	}))
	return all
}

// frames are those of an intact segment.
func (s *scene) frames(id storage.ID) []segment.Frame {
	s.t.Helper()
	var all []segment.Frame
	require.NoError(s.t, s.scan(id, func(f segment.Frame) error {
		f.Payload = nil
		all = append(all, f)
		return nil
	}))
	return all
}

func (s *scene) scan(id storage.ID, fn func(segment.Frame) error) error {
	b := s.content(id)
	return segment.Scan(s.t.Context(), spoiledReader{bytes: b}, int64(len(b)), id.String(), fn)
}

// frameOf is the frame that has the byte at pos.
func frameOf(frames []segment.Frame, pos int) segment.Frame {
	i := slices.IndexFunc(frames, func(f segment.Frame) bool { return int64(pos) < f.Pos+f.Size })
	return frames[i]
}

// flipped is b with one bit of the byte at i flipped.
func flipped(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1 << (i % 8)
	return b
}

// requireDamage wants CorruptSegment that names segment and position.
func requireDamage(t *testing.T, err error, id storage.ID, pos int64) {
	t.Helper()
	require.ErrorIs(t, err, talos.CorruptSegment)
	var e *talos.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, id.String(), e.Subject, "%v", err)
	require.True(t, strings.HasPrefix(e.Detail, fmt.Sprintf("at byte %d: ", pos)), "byte %d: %v", pos, err)
}

// read asks for the batch that holds an offset, and at a batch's first offset for
// as much as there is, too. What comes must be the right batches, from that one on.
// Both answers must agree on whether the offset can be read.
func (s *scene) read(p int32, l *partition.Log, o talos.Offset) error {
	s.t.Helper()
	err := s.readUpTo(p, l, o, 1)
	if o == 0 || !bytes.Equal(s.sent[p][o], s.sent[p][o-1]) {
		errMany := s.readUpTo(p, l, o, 1<<20)
		require.Equal(s.t, err == nil, errMany == nil, "offset %d: %v; with all behind it: %v", o, err, errMany)
	}
	return err
}

func (s *scene) readUpTo(p int32, l *partition.Log, o talos.Offset, size int) error {
	s.t.Helper()
	got, err := l.Read(s.t.Context(), o, size)
	if err != nil {
		return err
	}
	require.NotEmpty(s.t, got, "offset %d", o)
	for next := o; len(got) > 0; {
		want := s.sent[p][next]
		require.True(s.t, bytes.HasPrefix(got, want), "offset %d, asked from %d on", next, o)
		h, err := batch.Parse(want)
		require.NoError(s.t, err)
		got, next = got[h.Size:], h.Next()
	}
	return nil
}

// requireServed wants all that was sent to a partition, and that it takes more.
func (s *scene) requireServed(p int32, l *partition.Log) {
	s.t.Helper()
	end := talos.Offset(len(s.sent[p]))
	require.Equal(s.t, talos.OffsetRange{End: end}, l.Range())
	for o := range end {
		require.NoError(s.t, s.read(p, l, o))
	}
	s.append(p, l, 1)
	require.NoError(s.t, s.read(p, l, end))
}

// requireReadable wants every offset from one to another, without the second.
func (s *scene) requireReadable(p int32, l *partition.Log, from, to talos.Offset) {
	s.t.Helper()
	for o := from; o < to; o++ {
		require.NoError(s.t, s.read(p, l, o), "offset %d", o)
	}
}

// tornTail is the line that reports a torn tail.
type tornTail struct {
	Level, Msg, Segment string
	Position, Bytes     int64
	Ambiguous           bool
}

// tornTails takes what was logged about torn tails since the last call.
func (s *scene) tornTails() []tornTail {
	s.t.Helper()
	s.logged.mu.Lock()
	defer s.logged.mu.Unlock()
	var all []tornTail
	for dec := json.NewDecoder(&s.logged.text); dec.More(); {
		var line tornTail
		require.NoError(s.t, dec.Decode(&line))
		if strings.HasPrefix(line.Msg, "torn tail dropped") {
			all = append(all, line)
		}
	}
	s.logged.text.Reset()
	return all
}
